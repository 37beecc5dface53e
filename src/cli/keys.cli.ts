/** `agent-orchestrator keys`: which master keys wrap the keys of the payload, and wrapping them anew. Works on the database itself. */
import { Command } from 'commander';
import type { Config } from '../config.js';
import { readConfig } from '../config.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Terminal } from '../kernel/terminal.system.js';
import type { Database } from '../ledger/database.postgres.js';
import type { MasterKeys } from '../ledger/master-key.system.js';

interface Options {
  readonly json?: boolean;
}

export function keysCommand(terminal: Terminal): Command {
  const command = new Command('keys').description('look after the master key that the payload is sealed under');
  const sub = (name: string, description: string, act: (config: Config) => Promise<[answer: unknown, text: string]>) => {
    const own = new Command(name).description(description).option('--json', 'print one JSON document');
    command.addCommand(
      own.action(async ({ json }: Options) => {
        const [answer, text] = await act(readConfig({ ...terminal.env }));
        terminal.stdout.write(`${json ? JSON.stringify(answer) : text}\n`);
      }),
    );
    return own;
  };
  sub('status', 'which master keys are needed, and how many keys each wraps', status).addHelpText('after', STATUS_HELP);
  sub('rotate', 'wrap every key anew under a new master key', rotate).addHelpText('after', ROTATE_HELP);
  return command;
}

const STATUS_HELP = `
Works on DATABASE_URL, else on the embedded database in DATA_DIR, which no server may hold meanwhile. Keys are shown by their fingerprints.

Exit codes: 0 shown · 1 usage, or it could not be read`;

const ROTATE_HELP = `
With a key file (MASTER_KEY_FILE, by default DATA_DIR with .key behind it) and no orchestrator running: makes a new master key, wraps every
key anew, and takes the old one out of the file. With MASTER_KEY: restart every replica with MASTER_KEY=old,new, so that all of them can read
what either wraps, then with MASTER_KEY=new,old, run this, and restart them with MASTER_KEY=new. It can be broken off and run again.

Payload is not touched. Once the old master key is gone everywhere, backups from before the rotation show no payload any more.

Examples:
  agent-orchestrator keys rotate
  MASTER_KEY="$(openssl rand -base64 32),$MASTER_KEY" agent-orchestrator keys rotate --json

Exit codes: 0 every key is wrapped by the new master key alone · 1 usage, or it could not be done`;

async function status(config: Config): Promise<[unknown, string]> {
  const { openMasterKeys } = await import('../ledger/master-key.system.js');
  const { countKeys, masterKeys } = await import('../ledger/keys.postgres.js');
  const held = await openMasterKeys(config, { make: false });
  return withLedger(config, held, async (db) => {
    const counts = new Map((await countKeys(db)).map((row) => [row.master, row]));
    const masters = [...new Set([...held.keys.held, ...(await masterKeys(db)), ...counts.keys()])].map((id) => ({
      id,
      held: held.keys.held.includes(id),
      wraps: counts.get(id)?.keys ?? 0,
      destroyed: counts.get(id)?.destroyed ?? 0,
    }));
    const lines = masters.map(
      ({ id, held: has, wraps, destroyed }) =>
        `${id}  ${has ? 'held' : 'NOT HELD'}  wraps ${wraps} keys${destroyed > 0 ? `, ${destroyed} destroyed` : ''}`,
    );
    return [{ from: held.from, masters }, [`from ${held.from}`, ...(lines.length > 0 ? lines : ['no payload is sealed'])].join('\n')];
  });
}

async function rotate(config: Config): Promise<[unknown, string]> {
  const { openMasterKeys, replaceKeys, readKeys } = await import('../ledger/master-key.system.js');
  const { claimMasterKey, releaseMasterKeys, rewrapKeys } = await import('../ledger/keys.postgres.js');
  const { file } = await withNewKey(config);
  const master = await openMasterKeys(config, { make: false });
  const [current] = master.keys.held;
  const rewrapped = await withLedger(config, master, async (db) => {
    await claimMasterKey(db, master.from);
    const n = await rewrapKeys(db);
    const left = await releaseMasterKeys(db);
    if (left.length > 0) throw new OrchestratorError('internal', `master keys ${left.join(', ')} still wrap something; run it again`);
    if (file !== undefined) await refuseRunning(db); // one that was started meanwhile, with the old key alone, needs it
    return n;
  });
  if (file !== undefined) await replaceKeys(file, (await readKeys(file)).slice(0, 1));
  const then = file === undefined ? '; restart every replica with that one alone in MASTER_KEY' : '; the old one is out of the file';
  return [{ master: current, rewrapped }, `${rewrapped} keys are wrapped by the master key ${current} now${then}`];
}

/** The master keys with the new one in front, beside those that still wrap something. */
async function withNewKey(config: Config): Promise<MasterKeys> {
  const { openMasterKeys, newMasterKey, readKeys, replaceKeys } = await import('../ledger/master-key.system.js');
  const master = await openMasterKeys(config, { make: false });
  const { keys, from, file } = master;
  if (keys.held.length === 0) throw new OrchestratorError('invalid_request', `no payload is sealed (${from}): there is nothing to rotate`);
  if (keys.held.length > 1) return master; // given so, or left by a rotation that was broken off
  if (file === undefined)
    throw new OrchestratorError('invalid_request', 'MASTER_KEY holds one key: put the new one in front of it, as in MASTER_KEY=new,old');
  await withLedger(config, master, refuseRunning);
  await replaceKeys(file, [newMasterKey(), ...(await readKeys(file))]);
  return master;
}

/** It would go on wrapping new keys with the old master key. */
async function refuseRunning(db: Database): Promise<void> {
  const { instancesAlive } = await import('../ledger/open-request.postgres.js');
  const alive = db.embedded ? 0 : await instancesAlive(db);
  if (alive > 0)
    throw new OrchestratorError(
      'invalid_request',
      `${alive} orchestrators use this ledger: stop them, or rotate with MASTER_KEY=new,old (see --help)`,
    );
}

async function withLedger<T>(config: Config, { keys }: MasterKeys, work: (db: Database) => Promise<T>): Promise<T> {
  const [{ openLedger }, { MIGRATIONS }] = [await import('../ledger/open.postgres.js'), await import('../server.system.js')];
  const ledger = await openLedger(config, MIGRATIONS, { keys });
  try {
    return await work(ledger.db);
  } finally {
    await ledger.close();
  }
}
