/** `agent-orchestrator verify` and `migrate`: what reads or changes the ledger itself. */
import { Command, InvalidArgumentError } from 'commander';
import { type Config, readConfig } from '../config.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { repeated, wholeNumber } from './option-values.cli.js';

interface Options {
  readonly session?: string;
  readonly tenant?: string;
  readonly from?: number;
  readonly to?: number;
  readonly key: string[];
  readonly known: string[];
  readonly anchored?: boolean;
  readonly threads?: number;
  readonly resume?: string;
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

export function verifyLedgerCommand(terminal: Terminal): Command {
  return new Command('verify')
    .description('re-derive every hash, link, place, pairing, digest and head of the ledger, and its tree, from its bytes')
    .option('-s, --session <id>', 'only this session')
    .option('--tenant <id>', 'whose session (default: default)')
    .option('--from <idx>', 'only events from this place in the global order on', wholeNumber)
    .option('--to <idx>', 'and up to this one', wholeNumber)
    .option('--key <vkey>', 'verifier key of the log or of a witness, from somewhere else than the ledger; may be repeated', repeated, [])
    .option('--known <file>', 'checkpoint of the log that was kept: the ledger must contain it; may be repeated', repeated, [])
    .option('--anchored', 'fail unless a key or a checkpoint from outside vouches for the ledger')
    .option('--threads <count>', 'threads that verify streams, on PostgreSQL (default: one for each core)', threads)
    .option('--resume <file>', 'keep in this file how far it is, and go on from there if it was cut off')
    .option('--url <url>', 'ask this orchestrator instead of reading the database')
    .option('--token <token>', 'bearer token for it; better in ORCHESTRATOR_TOKEN')
    .option('--json', 'print the verdict as one JSON document')
    .addHelpText('after', VERIFY_HELP)
    .action(async ({ url, token, threads, resume, key, known, ...options }: Options) => {
      const [{ verifyCommand }, { verifying, knownCheckpoints }] = [
        await import('../audit/verify.cli.js'),
        await import('./verify-source.system.js'),
      ];
      const config = readConfig({ ...terminal.env });
      const asked = { ...options, keys: key, known: await knownCheckpoints(config, known) };
      const said = { url: url ?? serverNamed(config), token, threads, resume };
      process.exitCode = await verifyCommand(asked, (scope) => verifying(config, said, scope), terminal);
    });
}

function threads(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 99.');
}

/** Whoever names a database means that one. */
export const serverNamed = ({ DATABASE_URL, ORCHESTRATOR_URL }: Config): string | undefined =>
  DATABASE_URL === undefined ? ORCHESTRATOR_URL : undefined;

const VERIFY_HELP = `
Reads the database itself (DATABASE_URL, else the embedded one in DATA_DIR) and changes nothing, not even the schema. A server is asked
instead at --url, at ORCHESTRATOR_URL unless DATABASE_URL is set, and while it holds the embedded directory; with the token in
ORCHESTRATOR_TOKEN. The newest checkpoint in CHECKPOINT_DIR counts as --known.

A ledger agrees with itself also after somebody rewrote all of it, signatures included. --key shows that nobody did who lacks the key;
--known that nobody did since that checkpoint was taken, whoever he is. What was not checked is always told.

Examples:
  agent-orchestrator verify
  agent-orchestrator verify --session first
  agent-orchestrator verify --from 120000                       # what was recorded since
  agent-orchestrator verify --key "$LOG_KEY" --known checkpoint.october --anchored
  agent-orchestrator verify --resume verify.state               # a large ledger; Ctrl-C and start again at will
  DATA_DIR=/backup/ledger agent-orchestrator verify --json | jq .verdict

Exit codes: 0 all that was asked passed · 2 invalid: the record was changed or damaged · 3 diverged: it contradicts a checkpoint that was
kept (rewritten, forked, or set back to an older state) · 4 incomplete: something is missing without explanation · 5 unanchored, only with
--anchored · 1 usage, or it could not be read`;

export function migrateCommand(terminal: Terminal): Command {
  return new Command('migrate')
    .description("bring the database's schema up to date, then stop; serve does it by itself")
    .option('--json', 'print one JSON document')
    .addHelpText('after', MIGRATE_HELP)
    .action(async ({ json }: { json?: boolean }) => {
      const [{ openLedger }, { MIGRATIONS }] = [await import('../ledger/open.postgres.js'), await import('../server.system.js')];
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
