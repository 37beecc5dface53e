#!/usr/bin/env node
/**
 * agent-orchestrator: the command line. Each command stands in a file of its own and loads what it needs when it runs. Exit codes: 0 done,
 * 1 usage or it could not be done; the help of each command tells its others.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { agentsCommand } from './cli/agents.cli.js';
import { compressCommand } from './cli/compress.cli.js';
import { contractsCommand } from './cli/contracts.cli.js';
import { demoCommand } from './cli/demo.cli.js';
import { eraseCommand } from './cli/erase.cli.js';
import { exportCommand } from './cli/export.cli.js';
import { holdCommand } from './cli/hold.cli.js';
import { keysCommand } from './cli/keys.cli.js';
import { migrateCommand, verifyLedgerCommand } from './cli/ledger.cli.js';
import { logCommand } from './cli/log.cli.js';
import { orchestrateCommand } from './cli/orchestrate.cli.js';
import { replayCommand } from './cli/replay.cli.js';
import { routeCommand } from './cli/route.cli.js';
import { traceCommand } from './cli/trace.cli.js';
import { verifyBundleCommand } from './cli/verify-bundle.cli.js';
import { readConfig } from './config.js';
import { explain } from './failure.js';
import { coloursOf } from './kernel/terminal.system.js';

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
  agent-orchestrator route "what will the weather be" --explain
  agent-orchestrator contracts first
  agent-orchestrator agents add http://127.0.0.1:8000
  agent-orchestrator verify
  agent-orchestrator export session first -o first.tar.gz
  agent-orchestrator replay session first

Exit codes: 0 done · 1 usage, or it could not be done · 2 invalid, 3 diverged, 4 incomplete, 5 unanchored (verify, verify-bundle) ·
3 recorded as failed (orchestrate), nobody (route), held (erase) · 5 no such session (contracts, compress, erase, replay) ·
2 different and 4 missing (trace audit) · 2 source invalid, 3 different, 4 not all of it (replay)`,
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
  .action(async () => (await import('./cli/serve.cli.js')).serve(() => readConfig(process.env)));

const demo = demoCommand(process, fileURLToPath(import.meta.url));

const commands = [
  serve,
  demo,
  orchestrateCommand(process),
  routeCommand(process),
  contractsCommand(process),
  compressCommand(process),
  agentsCommand(process),
  verifyLedgerCommand(process),
  exportCommand(process),
  verifyBundleCommand(process),
  replayCommand(process),
  traceCommand(process),
  logCommand(process),
  eraseCommand(process),
  holdCommand(process),
  keysCommand(process),
  migrateCommand(process),
];
for (const command of commands) program.addCommand(command.copyInheritedSettings(program));

program.hook('preAction', (_, command) => {
  // Whoever reads no further, as `head` does, has what he wanted; a server has other things to do than to be read, the demo cleans up first.
  if (command !== serve && command !== demo)
    process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
});

function fail(error: Error): void {
  const { red } = coloursOf(process.stderr, process.env);
  process.stderr.write(`${red('agent-orchestrator')}: ${explain(error)}\n`);
  process.exitCode = 1;
}

if (existsSync('.env')) process.loadEnvFile('.env');
if (process.argv.length <= 2) program.outputHelp();
else program.parseAsync().catch(fail);
