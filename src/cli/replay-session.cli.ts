/** `replay session`: a session as it was, for people or as JSON. */
import { Command } from 'commander';
import type { ContractThen, SessionThen } from '../audit/replay-session.js';
import type { Source } from '../audit/replay-source.js';
import { printable, printableJson } from '../kernel/printable.js';
import type { Colours, Terminal } from '../kernel/terminal.system.js';
import { asked, unlessNone, WHERE_IT_READS } from './replay-asked.cli.js';
import { coloursFor, EXIT, follow, JsonDocument, type Listener, number, renderSource } from './replay-told.cli.js';

interface Options {
  readonly tenant?: string;
  readonly at?: string;
  readonly full?: boolean;
  readonly json?: boolean;
}

const SHOWN_CHARACTERS = 200;
/** Shown without --full, those that are there. */
const SHOWN = ['parameters', 'result', 'text', 'error'];

export function sessionCommand(terminal: Terminal): Command {
  return new Command('session')
    .description('show a session as it stood at a point: its contracts as they were known then, and its state')
    .argument('<session>', 'your name for the session, as given to orchestrate')
    .option('--at <seq|time>', 'after this event of its last stream, or at this time (ISO 8601 with zone)')
    .option('--tenant <id>', 'whose session (default: default)')
    .option('--full', 'everything the record still discloses of each contract')
    .option('--json', 'print one JSON document')
    .addHelpText('after', SESSION_HELP)
    .action(async (session: string, { at, tenant = 'default', full = false, json }: Options) => {
      const { pointOf } = await import('../audit/replay-session.js');
      const point = at === undefined ? undefined : pointOf(at);
      const messages = asked<ContractThen, SessionThen>(terminal, {
        kind: 'session',
        body: { session_id: session, at },
        tenant,
        fromDatabase: async function* (db) {
          const { replaySession } = await import('../audit/replay-session.postgres.js');
          yield* replaySession(db, { tenant, session, at: point });
        },
      });
      const codeOf = ({ unexplained }: SessionThen) => (unexplained > 0 ? EXIT.incomplete : EXIT.same);
      const { stdout } = terminal;
      const told = json
        ? new JsonDocument<ContractThen, SessionThen>(stdout, 'contracts', codeOf)
        : new SessionTold(terminal, full, codeOf);
      process.exitCode = await unlessNone(follow(messages, told, terminal), terminal);
    });
}

const SESSION_HELP = `${WHERE_IT_READS}
A time counts by when the ledger took the events in, not by what the writers' clocks said. Where idleness closed the session before, its
earlier streams are shown whole, and a seq means its last stream.

Examples:
  agent-orchestrator replay session first
  agent-orchestrator replay session first --at 4 --full
  agent-orchestrator replay session first --at 2026-11-21T18:00:00Z --json | jq .now

Exit codes: 0 shown · 4 shown, but payload is missing and nothing recorded explains it · 5 there is no such session · 2 its record is
invalid, and is not shown · 1 usage, or it could not be done`;

class SessionTold implements Listener<ContractThen, SessionThen> {
  private readonly colours: Colours;

  constructor(
    private readonly terminal: Terminal,
    private readonly full: boolean,
    private readonly codeOf: (session: SessionThen) => number,
  ) {
    this.colours = coloursFor(terminal);
  }

  source(source: Source): void {
    this.line(`${renderSource(source, this.colours)}\n`);
  }

  item(contract: ContractThen): void {
    const { green, red, yellow, dim } = this.colours;
    const { seq, agent_id, capability, status, error_code, replay_of, gone, request, response } = contract;
    const colour = { completed: green, failed: red, cancelled: yellow, pending: yellow }[status];
    const how = `${colour(status)}${error_code === null ? '' : ` ${printable(error_code)}`}${tookOf(contract)}`;
    this.line(
      `seq ${seq}  ${printable(`${capability ?? '-'} → ${agent_id ?? 'nobody'}`)}  ${how}  ${dim(printable(contract.contract_id))}`,
    );
    if (replay_of !== null) this.line(dim(`  replay of  ${printable(replay_of)}`));
    for (const [name, value] of Object.entries({ ...request, ...response })) {
      if (!this.full && !SHOWN.includes(name)) continue;
      const text = printableJson(value);
      const cut = this.full || text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`;
      this.line(`  ${dim(printable(name).padEnd(10))} ${cut}`);
    }
    if (gone !== null) this.line(`  ${yellow(printable(gone))}`);
  }

  result(session: SessionThen): number {
    const { bold, dim, red } = this.colours;
    const { now, earlier, unexplained } = session;
    const { requested, completed, failed, cancelled, pending } = now.contracts;
    const ends = Object.entries({ completed, failed, cancelled, pending }).flatMap(([name, n]) => (n > 0 ? [`${number(n)} ${name}`] : []));
    const row = (name: string, text: string) => this.line(`  ${dim(name.padEnd(10))} ${printable(text)}`);
    const closed = now.state === 'closed' ? `closed (${now.close_reason})` : 'open';
    this.line(`\n${bold(`Session ${printable(session.session_id)}`)} after seq ${now.seq}: ${printable(closed)}`);
    row('stream', now.stream);
    row('head', now.head ?? '-');
    row('contracts', `${number(requested)} in ${number(now.tasks)} tasks${ends.length > 0 ? `: ${ends.join(', ')}` : ''}`);
    for (const [agent, counts] of Object.entries(now.agents))
      row('', `${agent || 'nobody'}: ${number(counts.requested)} asked, ${number(counts.completed)} completed`);
    row('from', `${now.opened_at} to ${now.last_event_at}`);
    if (now.memory) row('memory', `block ${now.memory.memory_block_id} of seq ${now.memory.from_seq} to ${now.memory.to_seq}`);
    if (earlier.length > 0) row('earlier', `${earlier.length} streams that idleness closed`);
    if (unexplained > 0) this.line(red(`payload of ${unexplained} events is missing, and nothing recorded explains it`));
    return this.codeOf(session);
  }

  private line(text: string): void {
    this.terminal.stdout.write(`${text}\n`);
  }
}

function tookOf({ asked_at, answered_at }: ContractThen): string {
  return answered_at === null ? '' : ` after ${Math.max(0, Date.parse(answered_at) - Date.parse(asked_at))} ms`;
}
