#!/usr/bin/env node
/** agent-orchestrator: the command line. Exit codes: 0 done, 1 usage or it could not be done; the help of each command tells its others. */
import { fileURLToPath } from 'node:url';
import { programOf } from './cli/program.cli.js';
import { loadEnvFile, readConfig } from './config.js';
import { explain } from './failure.js';
import { coloursOf } from './kernel/terminal.system.js';

/** A server has other things to do than to be read, the demo cleans up first. */
const UNREAD = ['serve', 'demo'];

const program = programOf(process, fileURLToPath(import.meta.url), () => readConfig(process.env));

program.hook('preAction', (_, command) => {
  loadEnvFile();
  // Whoever reads no further, as `head` does, has what he wanted.
  if (!UNREAD.includes(command.name()))
    process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
});

function fail(error: Error): void {
  const { red } = coloursOf(process.stderr, process.env);
  process.stderr.write(`${red('agent-orchestrator')}: ${explain(error)}\n`);
  process.exitCode = 1;
}

if (process.argv.length <= 2) program.outputHelp();
else program.parseAsync().catch(fail);
