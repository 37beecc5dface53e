/** Decisions taken again, for people: each that changed with the reasons of both, and the table of who would get what instead of whom. */
import type { Chosen } from '../audit/replay-decisions.js';
import type { Source } from '../audit/replay-source.js';
import type { JsonValue } from '../kernel/json.js';
import { printable, printableJson } from '../kernel/printable.js';
import type { Colours, Terminal } from '../kernel/terminal.system.js';
import { explain } from '../routing/explain.js';
import { coloursFor, type Listener, number, renderSource } from './replay-told.cli.js';

export interface Changed {
  readonly contract_id: string;
  readonly stream: string;
  readonly seq: number;
  readonly asked: JsonValue;
  readonly was: Chosen;
  readonly is: Chosen;
}

export interface Decisions {
  readonly requests: number;
  readonly same: number;
  readonly changed_total: number;
  /** Attempts after the first: their decision is that of the first. */
  readonly later_attempts: number;
  /** Asked of a model. */
  readonly questions: number;
  readonly unexplained: number;
  readonly skipped: readonly { readonly why: string; readonly n: number }[];
  /** Who got it then, who would get it now, how often. */
  readonly confusion: readonly { readonly was: string; readonly is: string; readonly n: number }[];
}

const SHOWN_CHANGES = 20;
const SHOWN_NAMES = 20;
const CELL = 7;

export class DecisionsTold implements Listener<Changed, Decisions> {
  private readonly colours: Colours;
  private shown = 0;

  constructor(
    private readonly terminal: Terminal,
    private readonly codeOf: (decisions: Decisions) => number,
  ) {
    this.colours = coloursFor(terminal);
  }

  source(source: Source): void {
    this.line(`${renderSource(source, this.colours)}\n`);
  }

  item({ contract_id, stream, seq, asked, was, is }: Changed): void {
    if (this.shown++ >= SHOWN_CHANGES) return;
    const { bold, dim } = this.colours;
    this.line(`${bold(printable(contract_id))}  ${dim(printable(`${stream} seq ${seq}`))}  asked ${printableJson(asked)}`);
    for (const [when, chosen] of [['then', was] as const, ['now', is] as const]) {
      const [first, ...reasons] = explain(chosen.evidence, chosen);
      this.line(`  ${when.padEnd(4)}  ${printable(first ?? '')}`);
      for (const reason of reasons) this.line(dim(`        ${printable(reason)}`));
    }
    this.line('');
  }

  result(decisions: Decisions): number {
    const { requests, same, changed_total, later_attempts, questions, skipped, confusion } = decisions;
    const { green, red, yellow } = this.colours;
    if (changed_total > SHOWN_CHANGES) this.line(`and ${number(changed_total - SHOWN_CHANGES)} more (--json tells all of them)\n`);
    this.table(confusion);
    this.line(
      `${number(requests)} requests: ${green(`${number(same)} the same`)}, ${changed_total > 0 ? red(`${number(changed_total)} changed`) : '0 changed'}` +
        `${later_attempts > 0 ? `, ${number(later_attempts)} later attempts` : ''}${questions > 0 ? `; ${number(questions)} questions to the model` : ''}`,
    );
    for (const { why, n } of skipped) this.line(yellow(`${number(n)} skipped: ${printable(why)}`));
    return this.codeOf(decisions);
  }

  /** Rows: who got it then. Columns, by number: who would get it now. */
  private table(confusion: Decisions['confusion']): void {
    const names = [...new Set(confusion.flatMap(({ was, is }) => [was, is]))];
    const shown = names.slice(0, SHOWN_NAMES);
    const width = Math.max(4, ...shown.map((name) => printable(name).length)) + 5;
    const cells = (texts: readonly string[]) => texts.map((text) => text.padStart(CELL)).join('');
    this.line(`${'then'.padEnd(width)}${cells(shown.map((_, i) => `[${i + 1}]`))}  now`);
    for (const [i, was] of shown.entries()) {
      const row = shown.map((is) => confusion.find((cell) => cell.was === was && cell.is === is)?.n);
      this.line(
        `${`[${i + 1}] `.padStart(5)}${printable(was).padEnd(width - 5)}${cells(row.map((n) => (n === undefined ? '·' : number(n))))}`,
      );
    }
    if (names.length > shown.length) this.line(`and ${names.length - shown.length} more (--json tells all of them)`);
    this.line('');
  }

  private line(text: string): void {
    this.terminal.stdout.write(`${text}\n`);
  }
}
