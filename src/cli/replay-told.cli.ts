/** What the replay commands have in common: progress, the source, one JSON document, exit codes. */
import { isBroken, type Source } from '../audit/replay-source.js';
import type { ReplayMessage } from '../audit/replay-wire.js';
import { OrchestratorError } from '../kernel/errors.js';
import { printable, printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Output, type Terminal } from '../kernel/terminal.system.js';

/** 2 is the ledger's fault, 3 what the replay was made to find, 4 that it could not look at everything. */
export const EXIT = { same: 0, invalid: 2, different: 3, incomplete: 4, noSession: 5 } as const;

export const EXIT_CODES = `Exit codes: 0 the same · 3 different · 4 nothing different, but not all of it could be looked at · 2 the source is invalid: it was changed or
damaged, and is not replayed · 1 usage, or it could not be done`;

const PROGRESS_MS = 100;

export interface Listener<Item, Result> {
  source(source: Source): void;
  item(item: Item): void;
  /** Returns the exit code. */
  result(result: Result): number;
}

/** To the end; returns the exit code. */
export async function follow<Item, Result>(
  messages: AsyncIterable<ReplayMessage<Item, Result>>,
  listener: Listener<Item, Result>,
  terminal: Terminal,
): Promise<number> {
  const progress = new ProgressLine(terminal.stderr);
  let source: Source | undefined;
  let code: number | undefined;
  try {
    for await (const message of messages) {
      if ('step' in message) progress.show(message);
      else progress.clear();
      if ('source' in message) {
        source = message.source;
        listener.source(source);
      }
      if ('item' in message) listener.item(message.item);
      if ('result' in message) code = listener.result(message.result);
    }
  } finally {
    progress.clear();
  }
  if (source && isBroken(source)) return EXIT.invalid;
  if (code === undefined) throw new OrchestratorError('ledger_unavailable', 'the answer ended before the result; try again');
  return code === EXIT.same && source?.verdict === 'incomplete' ? EXIT.incomplete : code;
}

class ProgressLine {
  private shown = performance.now();
  private there = false;

  constructor(private readonly output: Output) {}

  show({ step, done, total }: { step: string; done: number; total: number }): void {
    if (!this.output.isTTY || performance.now() - this.shown < PROGRESS_MS) return;
    this.shown = performance.now();
    this.there = true;
    this.output.write(`\r${step}: ${done.toLocaleString('en-US')} of ${total.toLocaleString('en-US')}\x1b[K`);
  }

  clear(): void {
    if (this.there) this.output.write('\r\x1b[K');
    this.there = false;
  }
}

/** One JSON document, written as it comes: `{"source":…,"<list>":[…],…result}`. */
export class JsonDocument<Item, Result extends object> implements Listener<Item, Result> {
  private items = 0;

  constructor(
    private readonly output: Output,
    private readonly list: string,
    private readonly codeOf: (result: Result) => number,
  ) {}

  source(source: Source): void {
    this.output.write(`{"source":${printableJson(source)}${isBroken(source) ? '}\n' : `,${printableJson(this.list)}:[`}`);
  }

  item(item: Item): void {
    this.output.write(`${this.items++ === 0 ? '' : ','}\n${printableJson(item)}`);
  }

  result(result: Result): number {
    const code = this.codeOf(result);
    this.output.write(`${this.items > 0 ? '\n' : ''}],${printableJson({ ...result, exit_code: code }).slice(1)}\n`);
    return code;
  }
}

export function renderSource(source: Source, colours: Colours): string {
  const { verdict, first, events, size, head, checkpoint } = source;
  const colour = {
    valid: colours.green,
    invalid: colours.red,
    diverged: colours.red,
    incomplete: colours.yellow,
    'not checked': colours.yellow,
  }[verdict];
  const verified = verdict === 'not checked' ? 'not verified' : `${verdict}, ${number(events)} events verified`;
  return [
    `Source: ${colour(verified)}${first === null ? '' : `: ${printable(first)}`}`,
    `        ledger of ${number(size)} events, ${head === null ? 'empty' : `head ${printable(head)}`}`,
    `        ${checkpoint === null ? 'no signed checkpoint' : printable(`checkpoint ${checkpointOf(checkpoint)}`)}`,
    ...(isBroken(source) ? ['        nothing is replayed; agent-orchestrator verify says more'] : []),
  ].join('\n');
}

/** Origin, size and root: the first three lines of a C2SP checkpoint. */
function checkpointOf(note: string): string {
  const [origin, size, root] = note.split('\n');
  return `${origin} ${size} ${root}`;
}

export const number = (n: number) => n.toLocaleString('en-US');
export const coloursFor = ({ stdout, env }: Terminal): Colours => coloursOf(stdout, env);
