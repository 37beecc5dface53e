/** `replay live`: recorded requests, sent to the agents of today. Each is an ordinary task of a session of its own. */
import { Command, InvalidArgumentError } from 'commander';
import { COMPARATORS } from '../audit/replay-compare.js';
import { comparatorsOf } from '../audit/replay-live.js';
import type { Terminal } from '../kernel/terminal.system.js';
import { type ConnectOptions, connecting, WHERE_IT_LOOKS } from './connect.cli.js';
import { numberWithin } from './option-values.cli.js';
import { unlessNone } from './replay-asked.cli.js';

export interface LiveOptions extends ConnectOptions {
  readonly execute?: boolean;
  readonly unsafe?: boolean;
  readonly compare?: readonly string[];
  readonly max: number;
  readonly rate: number;
  readonly timeout?: number;
  readonly into?: string;
  readonly json?: boolean;
}

export function liveCommand(terminal: Terminal): Command {
  return connecting(new Command('live'))
    .description('send the recorded requests of a session to the agents of today, and compare their answers; only a plan without --execute')
    .argument('<session>', 'your name for the session, as given to orchestrate')
    .option('--execute', 'send them')
    .option('--unsafe', 'also to capabilities that are not marked replay_safe')
    .option('--compare <[capability=]how>', `what counts as equivalent: ${COMPARATORS.join(', ')}; repeatable`, comparator)
    .option('--max <calls>', 'no more calls than this', numberWithin(1, 10_000), 100)
    .option('--rate <calls>', 'calls a second', numberWithin(0.01, 100), 1)
    .option('--timeout <seconds>', 'how long each agent may take', numberWithin(0.001, 600))
    .option('--into <session>', 'name of the session the calls are recorded in (default: a new one)')
    .option('--json', 'print one JSON document')
    .addHelpText('after', HELP)
    .action(async (session: string, options: LiveOptions) => {
      const { replayLive } = await import('./replay-live.client.js');
      process.exitCode = await unlessNone(replayLive(session, options, terminal), terminal);
    });
}

const HELP = `${WHERE_IT_LOOKS}
Every request of the session goes to the agent it went to, where that still offers the capability, else to the first that does. It becomes a
task of a session of its own, recorded like any other, whose REQUEST names the one it repeats (replay_of). The session itself is only read,
which needs a token with the scope audit where REQUIRE_AUTH is on; the tasks need orchestrate. Not sent: what nobody was asked, what was
cancelled or interrupted, what has been erased, and what goes to a capability that is not marked replay_safe in its agent's description.

How an answer compares:
  identical   the same canonical JSON
  equivalent  the same as --compare says
  changed     neither; what changed is listed
  failed      it was done then and is not done now
  superseded  an attempt that was followed by another; that one is compared
  skipped     not sent, and why

What --compare knows:
  schema     both fit the output schema the capability has today
  shape      the same members of the same types
  text       the same words: capitals and blanks do not count
  numbers    the same numbers to six digits
  unordered  the same items of lists, in any order
  exact      nothing but identical answers

Examples:
  agent-orchestrator replay live first
  agent-orchestrator replay live first --execute --compare shape --compare summarize=schema
  agent-orchestrator replay live first --execute --max 20 --rate 0.5 --json | jq '.contracts[] | select(.outcome == "changed")'

Exit codes: 0 the same, or only planned · 3 something changed or failed · 4 nothing did, but something was skipped · 5 no such session ·
2 the session's record is invalid, and is not replayed · 1 usage, or it could not be done`;

function comparator(word: string, before: readonly string[] = []): readonly string[] {
  if (comparatorsOf([word])) return [...before, word];
  throw new InvalidArgumentError(`It must be one of ${COMPARATORS.join(', ')}, perhaps behind a capability and "=".`);
}
