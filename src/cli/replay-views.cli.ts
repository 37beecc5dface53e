/** `replay views`. */
import { Command } from 'commander';
import type { Source } from '../audit/replay-source.js';
import type { RowDiff, ViewsResult } from '../audit/replay-views.js';
import { printable } from '../kernel/printable.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { asked, WHERE_IT_READS } from './replay-asked.cli.js';
import { coloursFor, EXIT, EXIT_CODES, follow, JsonDocument, number, renderSource } from './replay-told.cli.js';

interface Options {
  readonly apply?: boolean;
  readonly verify: boolean;
  readonly json?: boolean;
}

export function viewsCommand(terminal: Terminal): Command {
  return new Command('views')
    .description('rebuild the aggregate views from the ledger and compare them row by row with the live ones, at the same place')
    .option('--apply', 'put the rebuilt rows in place of those that differ')
    .option('--no-verify', 'do not verify the ledger first')
    .option('--json', 'print one JSON document')
    .addHelpText('after', VIEWS_HELP)
    .action(async ({ apply = false, verify, json }: Options) => {
      const messages = asked<RowDiff, ViewsResult>(terminal, {
        kind: 'views',
        body: { apply, verify },
        fromDatabase: async function* (db) {
          const { applyViews, replayViews } = await import('../audit/replay-views.postgres.js');
          yield* replayViews(db, { verify, apply: apply ? (rebuilt) => applyViews(db, rebuilt) : undefined });
        },
      });
      const codeOf = ({ differing, applied }: ViewsResult) => (differing === 0 || applied ? EXIT.same : EXIT.different);
      const { stdout } = terminal;
      const told = json ? new JsonDocument<RowDiff, ViewsResult>(stdout, 'differences', codeOf) : viewsTold(terminal, codeOf);
      process.exitCode = await follow(messages, told, terminal);
    });
}

const VIEWS_HELP = `${WHERE_IT_READS}
The views are counts beside the ledger, which is the truth. The shadow is folded in memory; nothing is written without --apply, which
changes only the rows that differ, in one transaction, while the follower that keeps them waits.

Examples:
  agent-orchestrator replay views
  agent-orchestrator replay views --apply
  agent-orchestrator replay views --json | jq '.differences[]'

${EXIT_CODES}.
With --apply, 0 also when rows were put right.`;

function viewsTold(terminal: Terminal, codeOf: (result: ViewsResult) => number) {
  const { stdout } = terminal;
  const colours = coloursFor(terminal);
  return {
    source: (source: Source) => void stdout.write(`${renderSource(source, colours)}\n\n`),
    item: ({ view, key, live, rebuilt }: RowDiff) =>
      void stdout.write(
        `  ${view}  ${printable(key.map((part) => part || '-').join(' · '))}: live ${live ?? 'none'}, rebuilt ${rebuilt ?? 'none'}\n`,
      ),
    result: (result: ViewsResult) => {
      const { idx, views, differing, parked, applied } = result;
      const rows = views.map(
        ({ view, rows, differing }) => `  ${view.padEnd(16)} ${number(rows).padStart(8)} rows, ${number(differing)} differ\n`,
      );
      const verdict =
        differing === 0 ? colours.green('THE SAME') : applied ? colours.green('PUT RIGHT') : colours.red(`DIFFERENT: ${differing} rows`);
      const waiting = parked > 0 ? `; ${parked} streams are parked and counted up to where they wait` : '';
      stdout.write(`${rows.join('')}\n${verdict} at idx ${idx}${waiting}\n`);
      return codeOf(result);
    },
  };
}
