#!/usr/bin/env node
/**
 * agent-orchestrator: the command line. Each command stands in a file of its own and loads what it needs when it runs. Exit codes: 0 done,
 * 1 usage or it could not be done; the help of each command tells its others.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { agentsCommand } from './agents.cli.js';
import { compressCommand } from './compress.cli.js';
import { readConfig } from './config.js';
import { contractsCommand } from './contracts.cli.js';
import { demoCommand } from './demo.cli.js';
import { explain } from './failure.js';
import { coloursOf } from './kernel/terminal.system.js';
import { migrateCommand, verifyLedgerCommand } from './ledger.cli.js';
import { orchestrateCommand } from './orchestrate.cli.js';
import { traceCommand } from './trace.cli.js';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

const program = new Command('agent-orchestrator')
  .description('Dispatcher and flight recorder for AI agents: every call is written down before it is made and after it ended.')
  .version(version)
  .showHelpAfterError('(agent-orchestrator --help shows what there is)')
  .addHelpText(
    'after',
    `
Settings come from the environment or a file .env; without any, the ledger is ./data/ledger and the server is on this machine, port 8888.
The answer goes to stdout, everything else to stderr. NO_COLOR=1 turns colours off, FORCE_COLOR=1 on.

Examples:
  agent-orchestrator demo                                                        # the whole flow in front of you
  agent-orchestrator serve
  agent-orchestrator orchestrate --session first --capability echo text="Hello"
  agent-orchestrator contracts first
  agent-orchestrator agents add http://127.0.0.1:8000
  agent-orchestrator verify

Exit codes: 0 done · 1 usage, or it could not be done · 2 invalid and 4 incomplete (verify) · 3 recorded as failed (orchestrate) ·
5 no such session (contracts, compress) · 2 different and 4 missing (trace audit)`,
  );

const serve = new Command('serve')
  .description('run the orchestrator until it is told to stop (Ctrl-C, SIGTERM)')
  .addHelpText(
    'after',
    `
Listens on HOST:ORCHESTRATOR_PORT and keeps the ledger in DATABASE_URL, else in an embedded PostgreSQL in DATA_DIR. Agents: AGENTS_FILE.
Every setting: .env.example

Examples:
  agent-orchestrator serve
  ORCHESTRATOR_PORT=9000 DATABASE_URL=postgres://me@db/ledger agent-orchestrator serve

Exit codes: 0 stopped in good order · 1 could not start, or broke down`,
  )
  .action(async () => (await import('./serve.cli.js')).serve(() => readConfig(process.env)));

const commands = [
  serve,
  demoCommand(process, fileURLToPath(import.meta.url)),
  orchestrateCommand(process),
  contractsCommand(process),
  compressCommand(process),
  agentsCommand(process),
  verifyLedgerCommand(process),
  traceCommand(process),
  migrateCommand(process),
];
for (const command of commands) program.addCommand(command.copyInheritedSettings(program));

program.hook('preAction', (_, command) => {
  // Whoever reads no further, as `head` does, has what he wanted; a server has other things to do than to be read.
  if (command !== serve) process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
});

function fail(error: Error): void {
  const { red } = coloursOf(process.stderr, process.env);
  process.stderr.write(`${red('agent-orchestrator')}: ${explain(error)}\n`);
  process.exitCode = 1;
}

if (existsSync('.env')) process.loadEnvFile('.env');
if (process.argv.length <= 2) program.outputHelp();
else program.parseAsync().catch(fail);
