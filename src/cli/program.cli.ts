/** The command line: what there is, and what it says about itself. Each command stands in a file of its own and loads what it needs when it runs. */
import { Command } from 'commander';
import { VERSION } from '../api/version.js';
import type { Config } from '../config.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { agentsCommand } from './agents.cli.js';
import { compressCommand } from './compress.cli.js';
import { contractsCommand } from './contracts.cli.js';
import { demoCommand } from './demo.cli.js';
import { eraseCommand } from './erase.cli.js';
import { exportCommand } from './export.cli.js';
import { holdCommand } from './hold.cli.js';
import { keysCommand } from './keys.cli.js';
import { migrateCommand, verifyLedgerCommand } from './ledger.cli.js';
import { logCommand } from './log.cli.js';
import { type Input, orchestrateCommand } from './orchestrate.cli.js';
import { replayCommand } from './replay.cli.js';
import { routeCommand } from './route.cli.js';
import { traceCommand } from './trace.cli.js';
import { verifyBundleCommand } from './verify-bundle.cli.js';

/** `cli`: the file that runs it. `configure`: the settings of a server. */
export function programOf(terminal: Terminal & { readonly stdin: Input }, cli: string, configure: () => Config): Command {
  const program = new Command('agent-orchestrator')
    .description('Dispatcher and flight recorder for AI agents: every call is written down before it is made and after it ended.')
    .version(VERSION)
    .showHelpAfterError('(agent-orchestrator --help shows what there is)')
    .addHelpText('after', HELP);

  const serve = new Command('serve')
    .description('run the orchestrator until it is told to stop (Ctrl-C, SIGTERM)')
    .addHelpText('after', SERVE_HELP)
    .action(async () => (await import('./serve.cli.js')).serve(configure));

  const commands = [
    serve,
    demoCommand(terminal, cli),
    orchestrateCommand(terminal),
    routeCommand(terminal),
    contractsCommand(terminal),
    compressCommand(terminal),
    agentsCommand(terminal),
    verifyLedgerCommand(terminal),
    exportCommand(terminal),
    verifyBundleCommand(terminal),
    replayCommand(terminal),
    traceCommand(terminal),
    logCommand(terminal),
    eraseCommand(terminal),
    holdCommand(terminal),
    keysCommand(terminal),
    migrateCommand(terminal),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  return program;
}

const HELP = `
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
2 different and 4 missing (trace audit) · 2 source invalid, 3 different, 4 not all of it (replay)`;

const SERVE_HELP = `
Listens on HOST:ORCHESTRATOR_PORT and keeps the ledger in DATABASE_URL, else in an embedded PostgreSQL in DATA_DIR. Agents: AGENTS_FILE.
Every setting: .env.example

Examples:
  agent-orchestrator serve
  ORCHESTRATOR_PORT=9000 DATABASE_URL=postgres://me@db/ledger agent-orchestrator serve

Exit codes: 0 stopped in good order · 1 could not start, or broke down`;
