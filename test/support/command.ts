/** A command of the command line, run in this process: what it says and how it ends, without the time a process takes to start. */
import { type Command, CommanderError } from 'commander';
import { explain } from '../../src/failure.js';
import type { Terminal } from '../../src/kernel/terminal.system.js';
import type { Outcome } from './process.js';

export async function runHere(
  make: (terminal: Terminal) => Command,
  args: readonly string[],
  env: Record<string, string>,
): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const writeOut = (text: string): void => {
    stdout += text;
  };
  const writeErr = (text: string): void => {
    stderr += text;
  };
  const command = make({ env, stdout: { write: writeOut }, stderr: { write: writeErr } });
  for (const each of [command, ...command.commands]) each.exitOverride().configureOutput({ writeOut, writeErr });
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await command.parseAsync(args, { from: 'user' });
  } catch (error) {
    process.exitCode = error instanceof CommanderError ? error.exitCode : 1;
    if (!(error instanceof CommanderError)) stderr += `agent-orchestrator: ${explain(error as Error)}\n`;
  }
  const code = Number(process.exitCode);
  process.exitCode = before;
  return { code, stdout, stderr };
}
