/** Tells the steps of the demo: for a reader as they happen, or as one JSON object each. */
import { printableJson } from '../kernel/printable.js';
import { type Colours, coloursOf, type Terminal } from '../kernel/terminal.system.js';

export interface Told {
  readonly exitCode?: number;
  /** Text that may be shown as it is, or a value. */
  readonly answer: unknown;
}

export class Narrator {
  /** Of the step that is under way. */
  title = 'set the stage';
  private readonly since = performance.now();
  private readonly colours: Colours;
  private steps = 0;

  constructor(
    private readonly terminal: Terminal,
    private readonly json: boolean,
  ) {
    this.colours = coloursOf(terminal.stdout, terminal.env);
  }

  /** `typed`: what a reader would type to do the same; lines that are indented belong to the one before. */
  async step(title: string, typed: readonly string[], act: () => Promise<Told>): Promise<void> {
    const { bold, cyan, dim } = this.colours;
    const step = ++this.steps;
    this.title = title;
    const lines = typed.map((line) => cyan(line.startsWith(' ') ? line : `$ ${line}`));
    this.say(`\n${bold(`${step}. ${title}`)}\n${indented(lines.join('\n'))}\n`);
    const since = performance.now();
    const { exitCode, answer } = await act();
    const milliseconds = Math.round(performance.now() - since);
    if (this.json) this.line({ step, title, typed, ...(exitCode !== undefined && { exit_code: exitCode }), answer, milliseconds });
    const ended = `${exitCode === undefined ? '' : `exit ${exitCode}, `}${milliseconds} ms`;
    this.say(`${indented(typeof answer === 'string' ? answer : printableJson(answer, 2))}\n${indented(dim(ended))}\n`);
  }

  opening(directory: string): void {
    const { bold, dim } = this.colours;
    const where = `Everything below really runs, in ${directory}, which is removed in the end.`;
    this.say(`${bold('Agent Orchestrator: dispatcher and flight recorder for AI agents')}\n${dim(where)}\n`);
  }

  ended(): void {
    const milliseconds = Math.round(performance.now() - this.since);
    if (this.json) this.line({ ok: true, steps: this.steps, milliseconds });
    this.say(
      `\n${this.colours.green('✔')} ${this.steps} steps in ${(milliseconds / 1000).toFixed(1)} s. Your turn: npm start, and in another terminal step 3.\n`,
    );
  }

  failed(why: string): void {
    if (this.json) this.line({ ok: false, step: this.steps, title: this.title, error: why });
    this.terminal.stderr.write(`${this.colours.red('✘ the demo failed')} at step ${this.steps}, "${this.title}": ${why}\n`);
  }

  private say(text: string): void {
    if (!this.json) this.terminal.stdout.write(text);
  }

  private line(value: unknown): void {
    this.terminal.stdout.write(`${printableJson(value)}\n`);
  }
}

const indented = (text: string) => text.replace(/^(?=.)/gm, '  ').trimEnd();
