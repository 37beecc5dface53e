/** `agent-orchestrator verify-bundle`: checks an exported bundle with nothing of the deployment it came from. */
import { Command } from 'commander';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { coloursOf, type Terminal } from '../kernel/terminal.system.js';
import { repeated } from './option-values.cli.js';

interface Options {
  readonly key: string[];
  readonly known: string[];
  readonly anchored?: boolean;
  readonly json?: boolean;
}

export function verifyBundleCommand(terminal: Terminal): Command {
  return new Command('verify-bundle')
    .description('check an exported bundle offline: records, links, proofs, checkpoint, disclosures')
    .argument('<path>', 'the directory, or the .tar.gz')
    .option('--key <vkey>', "the log's verifier key, got elsewhere than from the bundle; a witness's too; may be repeated", repeated, [])
    .option(
      '--known <file>',
      'a checkpoint of the same log that you kept: the log must have grown out of it; may be repeated',
      repeated,
      [],
    )
    .option('--anchored', 'fail unless a key or a checkpoint from outside vouches for the bundle')
    .option('--json', 'print the verdict as one JSON document')
    .addHelpText('after', HELP)
    .action(async (path: string, options: Options) => {
      process.exitCode = await run(path, options, terminal);
    });
}

const HELP = `
Needs no server, no database and no network. The verifier is this program's own copy of verify.mjs: whoever forges a bundle can forge the one
inside it. Each of the ten steps passes, fails, or is told as not checked; docs/audit.md explains them.

Examples:
  agent-orchestrator verify-bundle first.tar.gz
  agent-orchestrator verify-bundle evidence --key "$LOG_KEY" --known checkpoint.october --anchored

Exit codes: 0 all that was asked passed · 2 invalid: changed, damaged or forged · 3 diverged: the log contradicts a checkpoint that you kept ·
4 incomplete: something is missing without explanation · 5 unanchored, only with --anchored · 1 usage, or it could not be read`;

async function run(path: string, { key, known, anchored, json }: Options, { stdout, env }: Terminal): Promise<number> {
  const [{ verifyBundle }, { openBundle }, { exitCodeOf, renderVerdict }] = await Promise.all([
    import('../audit/bundle/verify.mjs'),
    import('../audit/export/archive.system.js'),
    import('../audit/verify.cli.js'),
  ]);
  const { directory, close } = await openBundle(path);
  try {
    const verdict = await verifyBundle(directory, { keys: key, known });
    stdout.write(json ? `${printableJson(verdict)}\n` : renderVerdict(verdict, coloursOf(stdout, env), anchored));
    return exitCodeOf(verdict, anchored);
  } catch (error) {
    if (error instanceof OrchestratorError) throw error;
    throw new OrchestratorError('invalid_request', `${printable(path)} could not be checked: ${(error as Error).message}`);
  } finally {
    await close();
  }
}
