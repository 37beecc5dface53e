/** `replay record` and `replay check`. */
import { Command } from 'commander';
import type { HistoryLine, Recorded } from '../audit/replay-history.js';
import type { Source } from '../audit/replay-source.js';
import { printableJson } from '../kernel/printable.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { asked, unlessNone, WHERE_IT_READS } from './replay-asked.cli.js';
import { coloursFor, EXIT, follow, renderSource } from './replay-told.cli.js';

export function recordCommand(terminal: Terminal): Command {
  return new Command('record')
    .description('write a session down as a history: its records byte for byte, and what they mean to this version')
    .argument('<session>', 'your name for the session, as given to orchestrate')
    .option('--tenant <id>', 'whose session (default: default)')
    .addHelpText('after', RECORD_HELP)
    .action(async (session: string, { tenant = 'default' }: { tenant?: string }) => {
      const messages = asked<HistoryLine, Recorded>(terminal, {
        kind: 'record',
        body: { session_id: session },
        tenant,
        fromDatabase: async function* (db) {
          const { replayRecord } = await import('../audit/replay-record.postgres.js');
          yield* replayRecord(db, { tenant, session });
        },
      });
      const { stdout, stderr } = terminal;
      const told = {
        source: (source: Source) => void stderr.write(`${renderSource(source, coloursFor({ ...terminal, stdout: stderr }))}\n`),
        item: (line: HistoryLine) => void stdout.write(`${printableJson(line)}\n`),
        result: ({ states, unexplained }: Recorded) => {
          stdout.write(`${printableJson({ states })}\n`);
          return unexplained > 0 ? EXIT.incomplete : EXIT.same;
        },
      };
      process.exitCode = await unlessNone(follow(messages, told, terminal), terminal);
    });
}

const RECORD_HELP = `${WHERE_IT_READS}
The history goes to stdout, one JSON object a line; what it was made of is told on stderr. It holds the payload: treat the file as you treat
the ledger. What is erased later lives on in it.

Examples:
  agent-orchestrator replay record first > first.jsonl
  agent-orchestrator replay record first | jq -r 'select(.record) | .record | fromjson | [.seq, .type] | @tsv'

Exit codes: 0 written · 4 written, but payload is missing and nothing recorded explains it · 5 there is no such session · 2 its record is
invalid, and nothing is written · 1 usage, or it could not be done`;

export function checkCommand(terminal: Terminal): Command {
  return new Command('check')
    .description('write recorded histories again with this version and compare: every byte, and what they mean')
    .argument('<files...>', 'histories that `replay record` has written')
    .option('--json', 'print one JSON document')
    .addHelpText('after', CHECK_HELP)
    .action(async (files: string[], { json = false }: { json?: boolean }) => {
      const { checkHistories } = await import('./replay-check.cli.js');
      process.exitCode = await checkHistories(files, json, terminal);
    });
}

const CHECK_HELP = `
Needs no database. Each record must be what this version would write in its place, follow the one before it, and be allowed by its stream;
folded together they must mean what they meant to the version that wrote the file.

Examples:
  agent-orchestrator replay check first.jsonl
  agent-orchestrator replay check histories/*.jsonl --json | jq '.files[] | select(.findings != [])'

Exit codes: 0 the same · 2 invalid: the file was changed, or this version would write other bytes · 3 it means something else now · 4 nothing
different, but not all of it could be looked at · 1 usage, or a file that cannot be read`;
