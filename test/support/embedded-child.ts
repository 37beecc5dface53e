import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('./embedded-process.mjs', import.meta.url));

/** A process of its own for embedded-process.mjs. */
export class Child {
  readonly lines: string[] = [];
  private waiting: (() => void) | undefined;
  private read = 0;

  private constructor(private readonly process: ChildProcess) {
    process.once('exit', () => this.waiting?.());
    let rest = '';
    process.stdout!.on('data', (data: Buffer) => {
      const parts = (rest + data).split('\n');
      rest = parts.pop()!;
      this.lines.push(...parts);
      this.waiting?.();
    });
  }

  static async start(): Promise<Child> {
    const child = new Child(spawn(process.execPath, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] }));
    await child.next();
    return child;
  }

  private get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** Says a line and returns the answer to it. */
  ask(line: string): Promise<string> {
    this.process.stdin!.write(`${line}\n`);
    return this.next();
  }

  async next(): Promise<string> {
    while (this.read === this.lines.length) {
      if (this.ended) throw new Error(`the child ended with ${this.process.exitCode ?? this.process.signalCode}`);
      await new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
    }
    return this.lines[this.read++]!;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** kill -9, and waits until the kernel is done with it. */
  async kill(): Promise<void> {
    if (this.ended) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }
}
