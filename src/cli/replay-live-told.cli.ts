/** How a live replay is told to people. */
import type { Comparison } from '../audit/replay-compare.js';
import type { Source } from '../audit/replay-source.js';
import { printable, printableJson } from '../kernel/printable.js';
import type { Colours, Terminal } from '../kernel/terminal.system.js';
import { coloursFor, type Listener, number, renderSource } from './replay-told.cli.js';

/** What came of one recorded contract. */
export interface Told {
  /** Of the recorded REQUEST. */
  readonly contract_id: string;
  readonly seq: number;
  readonly capability: string | null;
  /** Who is asked today; of what is skipped, who was asked then. */
  readonly agent_id: string | null;
  readonly outcome: Comparison['outcome'] | 'skipped' | 'superseded' | 'planned';
  /** The contract it became; null: it was not sent, or not recorded. */
  readonly replay: string | null;
  readonly by: Comparison['by'];
  readonly changes: Comparison['changes'];
  readonly more: number;
  /** Why it was skipped, or what went wrong. */
  readonly why: string | null;
}

export interface Live {
  readonly session_id: string;
  /** The session the calls are recorded in; null: none were made. */
  readonly into: string | null;
  readonly executed: boolean;
  readonly calls: number;
  readonly counts: Record<Told['outcome'], number>;
}

const SHOWN_CHARACTERS = 120;

export class LiveTold implements Listener<Told, Live> {
  private readonly colours: Colours;

  constructor(
    private readonly terminal: Terminal,
    private readonly codeOf: (live: Live) => number,
  ) {
    this.colours = coloursFor(terminal);
  }

  source(source: Source): void {
    this.line(`${renderSource(source, this.colours)}\n`);
  }

  item({ outcome, seq, capability, agent_id, by, why, changes, more }: Told): void {
    const { green, red, yellow, dim } = this.colours;
    const colour = { identical: green, equivalent: green, changed: red, failed: red, skipped: yellow, superseded: dim, planned: dim }[
      outcome
    ];
    const whom = printable(`${capability ?? '-'} → ${agent_id ?? 'nobody'}`);
    const told = [by && `by ${by}`, why].flatMap((text) => (text ? [printable(text)] : []));
    this.line(`${colour(outcome.padEnd(10))}  seq ${seq}  ${whom}${told.length > 0 ? `: ${told.join(', ')}` : ''}`);
    for (const change of changes) {
      const [was, is] = [change.was, change.is].map((value) => (value === undefined ? 'nothing' : cut(printableJson(value))));
      this.line(`  ${printable(change.path)}: ${was} → ${is}`);
    }
    if (more > 0) this.line(`  and ${number(more)} more changes`);
  }

  result(live: Live): number {
    const { executed, calls, into, counts } = live;
    const outcomes = Object.entries(counts).flatMap(([outcome, n]) => (n > 0 ? [`${number(n)} ${outcome}`] : []));
    const told = outcomes.length > 0 ? outcomes.join(', ') : 'the session has no contract';
    this.line(`\n${told}`);
    if (executed) this.line(`recorded in session ${printable(into ?? '')}: agent-orchestrator contracts ${printable(into ?? '')}`);
    else this.line(`only a plan: --execute makes ${calls === 1 ? 'this call' : `these ${number(calls)} calls`}`);
    return this.codeOf(live);
  }

  private line(text: string): void {
    this.terminal.stdout.write(`${text}\n`);
  }
}

const cut = (text: string): string => (text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS)}…`);
