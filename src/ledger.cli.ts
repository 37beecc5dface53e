/** `agent-orchestrator verify` and `migrate`: what reads or changes the ledger itself, asking the server only while it holds the embedded one. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import type { VerifyOptions } from './audit/verify.cli.js';
import type { VerifyMessage, VerifyScope } from './audit/verify.js';
import { type Config, readConfig } from './config.js';
import { OrchestratorError } from './kernel/errors.js';
import type { Terminal } from './kernel/terminal.system.js';
import { readLock } from './ledger/data-dir-lock.system.js';

export function verifyLedgerCommand(terminal: Terminal): Command {
  return new Command('verify')
    .description('re-derive every hash, link, place, pairing, digest and head of the ledger from its bytes')
    .option('-s, --session <id>', 'only this session')
    .option('--tenant <id>', 'whose session (default: default)')
    .option('--json', 'print the verdict as one JSON document')
    .addHelpText('after', VERIFY_HELP)
    .action(async (options: VerifyOptions) => {
      const { verifyCommand } = await import('./audit/verify.cli.js');
      process.exitCode = await verifyCommand(options, (scope) => messages(readConfig({ ...terminal.env }), scope), terminal);
    });
}

const VERIFY_HELP = `
Reads the database itself (DATABASE_URL, else the embedded one in DATA_DIR) and changes nothing, not even the schema. While a server holds
the embedded directory, that server is asked, with the token in ORCHESTRATOR_TOKEN.

Examples:
  agent-orchestrator verify
  agent-orchestrator verify --session first
  DATA_DIR=/backup/ledger agent-orchestrator verify --json | jq .verdict

Exit codes: 0 all that was asked passed · 2 invalid: the record was changed or damaged · 4 incomplete: something is missing without
explanation · 1 usage, or it could not be read`;

export function migrateCommand(terminal: Terminal): Command {
  return new Command('migrate')
    .description("bring the database's schema up to date, then stop; serve does it by itself")
    .option('--json', 'print one JSON document')
    .addHelpText('after', MIGRATE_HELP)
    .action(async ({ json }: { json?: boolean }) => {
      const [{ openLedger }, { MIGRATIONS }] = [await import('./ledger/open.postgres.js'), await import('./server.system.js')];
      const ledger = await openLedger(readConfig({ ...terminal.env }), MIGRATIONS);
      await ledger.close();
      const { migrated } = ledger;
      const told = migrated.length > 0 ? migrated.join('\n') : 'nothing to do, the schema is up to date';
      terminal.stdout.write(`${json ? JSON.stringify({ migrated }) : told}\n`);
    });
}

const MIGRATE_HELP = `
Works on DATABASE_URL, else on the embedded database in DATA_DIR, which no server may hold meanwhile.

Exit codes: 0 the schema is up to date · 1 usage, or it could not be done: nothing was changed`;

async function* messages(settings: Config, scope: VerifyScope): AsyncGenerator<VerifyMessage> {
  const holder = settings.DATABASE_URL === undefined ? await readLock(settings.DATA_DIR) : null;
  yield* holder ? fromServer(settings, holder, scope) : fromDatabase(settings, scope);
}

async function* fromDatabase({ DATABASE_URL: url, DATA_DIR: directory }: Config, scope: VerifyScope): AsyncGenerator<VerifyMessage> {
  if (url === undefined && !existsSync(directory)) {
    throw new OrchestratorError('not_found', `there is no ledger at ${directory}; set DATA_DIR or DATABASE_URL, or start the server once`);
  }
  const { verifyLedger } = await import('./audit/verify.postgres.js');
  const { Database } = await import('./ledger/database.postgres.js');
  const { openEmbedded } = await import('./ledger/embedded.system.js');
  // Not openLedger: whoever verifies changes nothing, not even the schema.
  const embedded = url === undefined ? await openEmbedded(directory) : null;
  try {
    const db = await Database.connect(embedded ? { socket: embedded, poolSize: 1 } : { url: url!, poolSize: 4 });
    try {
      yield* verifyLedger(db, scope);
    } finally {
      await db.close();
    }
  } finally {
    await embedded?.close();
  }
}

async function* fromServer(
  { DATA_DIR, HOST, ORCHESTRATOR_TOKEN: token }: Config,
  holder: { pid: number; port: number | null },
  { session }: VerifyScope,
): AsyncGenerator<VerifyMessage> {
  const held = `process ${holder.pid} holds ${DATA_DIR}`;
  if (holder.port === null) throw new OrchestratorError('ledger_unavailable', `${held} but serves nothing yet; try again`);
  if (session && session.tenant !== 'default' && token === undefined) {
    const remedy = `set ORCHESTRATOR_TOKEN to a token of that tenant, or stop it to verify another tenant's session`;
    throw new OrchestratorError('invalid_request', `${held} and answers for the tenant "default" only; ${remedy}`);
  }
  const { originOf } = await import('./find-server.system.js');
  const { OrchestratorClient } = await import('./orchestrator.client.js');
  const { readMessages } = await import('./audit/verify-wire.js');
  yield* readMessages(new OrchestratorClient({ url: originOf(HOST, holder.port), from: held, token }).verify(session?.name));
}
