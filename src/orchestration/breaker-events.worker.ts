/** Puts on the record that a breaker of this process opened or closed. Calls do not wait for it; what the ledger does not take is told again. */
import type { CommandBus } from '@nestjs/cqrs';
import { NoteBreaker } from '../agents/breaker.commands.js';
import type { Worker } from '../kernel/worker.js';

const AGAIN_MS = 1000;

export class BreakerEvents implements Worker {
  readonly name = 'breaker events';
  /** In their order. */
  private readonly untold: NoteBreaker[] = [];
  private telling: Promise<void> | null = null;
  private draining = false;
  private wake: () => void = () => undefined;
  private told = 0;
  private lastError: string | null = null;

  constructor(
    private readonly commands: CommandBus,
    private readonly owner: string,
  ) {}

  start(): void {}

  tell(agentId: string, to: 'open' | 'closed', reason: string): void {
    this.untold.push(new NoteBreaker(agentId, to, reason, this.owner));
    this.telling ??= this.tellAll().finally(() => {
      this.telling = null;
    });
  }

  private async tellAll(): Promise<void> {
    for (let [next] = this.untold; next; [next] = this.untold) {
      try {
        await this.commands.execute(next);
        this.untold.shift();
        this.told += 1;
        this.lastError = null;
      } catch (error) {
        this.lastError = (error as Error).message;
        if (this.draining) return;
        await new Promise<void>((wake) => {
          this.wake = wake;
          setTimeout(wake, AGAIN_MS).unref();
        });
      }
    }
  }

  async drain(): Promise<void> {
    this.draining = true;
    this.wake();
    await this.telling;
  }

  status(): Record<string, unknown> {
    return { told: this.told, untold: this.untold.length, last_error: this.lastError };
  }
}
