/**
 * Streams that several replicas write at once. Compare-and-swap alone lets the slower replica lose again and again (47 % lost, one
 * request tried 222 times, measured); so from a stream's first loss and for one second after the last, every batch for it first queues
 * for its row in a short transaction, and replicas take turns. Here stand the queues; the appender sends.
 */

import { fill } from './batch.js';
import type { Waiting } from './send.postgres.js';

const TURN_MS = 1000;

interface Turn {
  waiting: Waiting[];
  until: number;
  running: Promise<void> | null;
}

export class Turns {
  private readonly turns = new Map<string, Turn>();

  constructor(private readonly commit: (stream: string, batch: Waiting[]) => Promise<void>) {}

  get size(): number {
    return this.turns.size;
  }

  open(stream: string): void {
    const until = Date.now() + TURN_MS;
    const turn = this.turns.get(stream);
    if (turn) turn.until = until;
    else this.turns.set(stream, { waiting: [], until, running: null });
  }

  /** Takes the intent if its stream is under contention, or it must be appended under the stream's lock. */
  take(waiting: Waiting): boolean {
    const { stream, unerased } = waiting.intent;
    if (unerased) this.open(stream); // what has been erased is looked up under the stream's lock
    const turn = this.turns.get(stream);
    if (!turn) return false;
    if (!turn.running && turn.until < Date.now()) {
      this.turns.delete(stream);
      return false;
    }
    turn.waiting.push(waiting);
    turn.running ??= this.run(stream, turn);
    return true;
  }

  private async run(stream: string, turn: Turn): Promise<void> {
    await Promise.resolve();
    while (turn.waiting.length > 0) {
      const { taken, rest } = fill(turn.waiting);
      turn.waiting = rest;
      await this.commit(stream, taken);
    }
    turn.running = null;
    setTimeout(() => this.forget(stream), TURN_MS + 10).unref();
  }

  private forget(stream: string): void {
    const turn = this.turns.get(stream);
    if (turn && !turn.running && turn.until < Date.now()) this.turns.delete(stream);
  }

  async drain(): Promise<void> {
    for (const turn of this.turns.values()) await turn.running;
  }
}
