#!/usr/bin/env node
/** agent-orchestrator: the command line. Exit codes: 0 done, 1 usage or it could not be done; verify adds its own. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import pc from 'picocolors';
import { type VerifyOptions, verifyCommand } from './audit/verify.cli.js';
import type { VerifyMessage, VerifyScope } from './audit/verify.js';
import { verifyLedger } from './audit/verify.postgres.js';
import { readMessages } from './audit/verify-wire.js';
import { type Config, readConfig } from './config.js';
import { OrchestratorError } from './kernel/errors.js';
import { readLock } from './ledger/data-dir-lock.system.js';
import { Database } from './ledger/database.postgres.js';
import { openEmbedded } from './ledger/embedded.system.js';
import { openLedger } from './ledger/open.postgres.js';
import { serve } from './serve.cli.js';
import { MIGRATIONS } from './server.system.js';

if (existsSync('.env')) process.loadEnvFile('.env');
const config = () => readConfig(process.env);

const program = new Command('agent-orchestrator')
  .description(
    'Dispatcher and flight recorder for AI agents.\nSettings come from the environment or a file .env; without any, the ledger is ./data/ledger.',
  )
  .showHelpAfterError('(agent-orchestrator --help shows what there is)')
  .addHelpText(
    'after',
    '\nExamples:\n  agent-orchestrator serve\n  agent-orchestrator verify\n  agent-orchestrator verify --session first --json',
  );

program
  .command('serve')
  .description('run the orchestrator until it is told to stop (Ctrl-C, SIGTERM)')
  .action(() => serve(config));

program
  .command('migrate')
  .description("bring the database's schema up to date, then stop; serve does it by itself")
  .action(async () => {
    const ledger = await openLedger(config(), MIGRATIONS);
    await ledger.close();
    process.stdout.write(ledger.migrated.length > 0 ? `${ledger.migrated.join('\n')}\n` : 'nothing to do, the schema is up to date\n');
  });

program
  .command('verify')
  .description('re-derive every hash, link, place, pairing, digest and head of the ledger from its bytes')
  .option('--session <id>', 'only this session')
  .option('--tenant <id>', 'whose session (default: default)')
  .option('--json', 'print the verdict as one JSON document')
  .addHelpText(
    'after',
    '\nReads the database itself, or asks the server that holds the embedded directory.\n' +
      'Exit codes: 0 all that was asked passed · 1 usage, or it could not be read · 2 invalid: the record was changed or damaged · 4 incomplete: something is missing without explanation',
  )
  .action(async (options: VerifyOptions) => {
    process.exitCode = await verifyCommand(options, (scope) => ledgerMessages(config(), scope));
  });

async function* ledgerMessages(settings: Config, scope: VerifyScope): AsyncGenerator<VerifyMessage> {
  const holder = settings.DATABASE_URL === undefined ? await readLock(settings.DATA_DIR) : null;
  if (holder) return yield* fromServer(settings, holder, scope);
  if (settings.DATABASE_URL === undefined && !existsSync(settings.DATA_DIR)) {
    throw new OrchestratorError(
      'not_found',
      `there is no ledger at ${settings.DATA_DIR}; set DATA_DIR or DATABASE_URL, or start the server once`,
    );
  }
  // Not openLedger: whoever verifies changes nothing, not even the schema.
  const embedded = settings.DATABASE_URL === undefined ? await openEmbedded(settings.DATA_DIR) : null;
  try {
    const db = await Database.connect(embedded ? { socket: embedded, poolSize: 1 } : { url: settings.DATABASE_URL!, poolSize: 4 });
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
  settings: Config,
  holder: { pid: number; port: number | null },
  { session }: VerifyScope,
): AsyncGenerator<VerifyMessage> {
  const held = `process ${holder.pid} holds ${settings.DATA_DIR}`;
  if (holder.port === null) throw new OrchestratorError('ledger_unavailable', `${held} but serves nothing yet; try again`);
  if (session && session.tenant !== 'default') {
    throw new OrchestratorError(
      'invalid_request',
      `${held} and answers for the tenant "default" only; stop it to verify another tenant's session`,
    );
  }
  const host = ['0.0.0.0', '::'].includes(settings.HOST) ? '127.0.0.1' : settings.HOST;
  const asking = new AbortController();
  const silence = setTimeout(() => asking.abort(new Error(`${held} but does not answer on port ${holder.port}`)), 10_000);
  const response = await fetch(`http://${host.includes(':') ? `[${host}]` : host}:${holder.port}/v1/verify`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(session ? { session_id: session.name } : {}),
    signal: asking.signal,
  }).finally(() => clearTimeout(silence));
  if (!response.ok || !response.body) throw new OrchestratorError('ledger_unavailable', `${held} and answered HTTP ${response.status}`);
  yield* readMessages(response.body);
}

program.parseAsync().catch((error: Error) => {
  process.stderr.write(`${pc.red('agent-orchestrator')}: ${error instanceof OrchestratorError ? error.message : error.stack}\n`);
  process.exitCode = 1;
});
