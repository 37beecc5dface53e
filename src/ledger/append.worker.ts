/**
 * The appender: the one way into the ledger. It gathers what arrives while the previous batch is in flight and sends it as one
 * statement; every caller learns whether his intent is committed, refused, or could not be settled.
 *
 * Crash windows: before the statement committed nobody was told anything; after it the caller learns it from us or, when the
 * connection broke in between, from looking its ids up. Nothing is acknowledged on hope.
 */
import pg from 'pg';
import { OrchestratorError } from '../kernel/errors.js';
import type { Worker } from '../kernel/worker.js';
import { usedKeys } from './append.postgres.js';
import { fill, type Intent } from './batch.js';
import { type Database, outcomeOf } from './database.postgres.js';
import { type AppendResult, type Attempt, Sender, type Waiting, waitersOf, waitFor } from './send.postgres.js';
import { Turns } from './turns.worker.js';

type Send = (batch: readonly Waiting[]) => Promise<Attempt[]>;

const MAX_LOSSES = 5;
const MAX_WAITING = 20_000;
const PAUSE_MS = { first: 50, most: 1000 };
const LOCK_NOT_AVAILABLE = '55P03';

export class Appender implements Worker {
  readonly name = 'appender';
  private queue: Waiting[] = [];
  private running: Promise<void> | null = null;
  private pause = 0;
  private waiting = 0;
  private readonly sender: Sender;
  private readonly turns: Turns;
  private readonly counts = { batches: 0, events: 0, lost: 0, most_losses: 0, contended: 0, halved: 0, last_error: null as string | null };

  constructor(
    private readonly db: Database,
    /** Called after every batch that wrote something, with the number of its events. */
    private readonly appended: (events: number) => void = () => undefined,
    /** Called with the seconds every append took, however it ended. */
    private readonly settled: (seconds: number) => void = () => undefined,
  ) {
    this.sender = new Sender(db);
    this.turns = new Turns((stream, batch) => this.commit(batch, (left) => this.sender.sendInTurn(stream, left)));
  }

  start(): void {}
  /**
   * Resolves when the intent is committed or refused for good. Rejects with `ledger_unavailable` when neither could be reached or learned
   * within `patience` milliseconds (the outcome may then be unknown: never act on such an event), `overloaded` when too much is waiting.
   */
  append(intent: Intent, patience = 5000): Promise<AppendResult> {
    if (this.waiting >= MAX_WAITING && !intent.drafts.some((d) => d.type === 'contract.response')) {
      const message = `${this.waiting} events are waiting for the ledger; nothing was recorded, try again later`;
      return Promise.reject(new OrchestratorError('overloaded', message, { retryAfter: 1 }));
    }
    this.waiting += 1;
    const since = performance.now();
    const { waiting, result } = waitFor(intent, Date.now() + patience, () => {
      this.waiting -= 1;
      this.settled((performance.now() - since) / 1000);
    });
    if (!this.turns.take(waiting)) {
      this.sender.sealAhead(intent);
      this.queue.push(waiting);
      this.run();
    }
    return result;
  }

  private run(): void {
    this.running ??= this.drainQueue().finally(() => {
      this.running = null;
      if (this.queue.length > 0) this.run();
    });
  }

  private async drainQueue(): Promise<void> {
    for (let last = Number.POSITIVE_INFINITY; this.queue.length > 0; ) {
      // Everybody whose request is read from a socket in this round of the event loop shares the batch; after one as large as the last nobody waits for him.
      if (this.queue.length < last) await new Promise(setImmediate);
      const batch = this.nextBatch();
      last = batch.length;
      await this.commit(batch, (left) => this.sender.sendFreely(left));
    }
  }

  /** From the front of the queue; streams under contention go to their turn. */
  private nextBatch(): Waiting[] {
    const { taken, rest } = fill(this.queue.filter((w) => !this.turns.take(w)));
    this.queue = rest;
    return taken;
  }

  /** Sends a batch and answers everybody in it, or puts him back; never throws. */
  private async commit(batch: Waiting[], send: Send): Promise<void> {
    if (this.pause > 0) await new Promise((wake) => setTimeout(wake, this.pause));
    let left = batch;
    let attempts: Attempt[];
    try {
      left = await this.sender.withoutKnown(batch);
      attempts = await send(left);
    } catch (error) {
      return this.afterFailure(left, error as Error, send);
    }
    this.pause = 0;
    const events = attempts.reduce((sum, a) => sum + (a.verdict === 'won' ? a.lane.placed.length : 0), 0);
    if (events > 0) this.counts.batches += 1;
    // The winners at once: settling the others may take as long as another batch.
    const open = attempts.filter((attempt) => !this.answer(attempt));
    if (events > 0) this.appended(events);
    for (const attempt of open) {
      await this.settle(attempt, send).catch((error: Error) => this.retryLater(waitersOf(attempt), error, false));
    }
  }

  /** Tells everybody in the lane what became of it, if that is known for good. */
  private answer({ lane, placed, refused, verdict, fresh }: Attempt): boolean {
    if (verdict !== 'won' && !(verdict === undefined && fresh)) return false;
    this.counts.events += lane.placed.length;
    this.sender.keep(lane);
    for (const { waiting, events } of placed) waiting.resolve({ placed: events });
    for (const { waiting, refusal } of refused) waiting.resolve({ refusal });
    return true;
  }

  private async settle(attempt: Attempt, send: Send): Promise<void> {
    const { lane, verdict } = attempt;
    const waiting = await this.sender.withoutKnown(waitersOf(attempt));
    for (const w of waiting) w.doubted = true;
    if (verdict === undefined) return this.again(waiting); // refused on a cached state: ask a fresh one
    if (verdict === 'renamed') {
      for (const w of waiting) w.resolve({ refusal: { code: 'renamed' } });
      return;
    }
    if (verdict === 'keyed') return this.afterUsedKey(waiting, send);
    this.lose(lane.stream, waiting, verdict === 'lost');
  }

  /** The race for a stream is lost: from now on and for a second its writers take turns. */
  private lose(stream: string, waiting: Waiting[], contended: boolean): void {
    this.counts.lost += waiting.length;
    if (contended && !this.db.embedded) {
      this.counts.contended += 1;
      this.turns.open(stream);
    }
    const again = waiting.filter((w) => {
      w.losses += 1;
      this.counts.most_losses = Math.max(this.counts.most_losses, w.losses);
      if (w.losses < MAX_LOSSES) return true;
      w.reject(unavailable(`other writers took stream ${stream} ${w.losses} times in a row`));
      return false;
    });
    this.again(again);
  }

  /** Somebody holds one of these streams, nobody says which: each waits for its own turn, so that the others need not wait for it. */
  private loseAll(batch: readonly Waiting[]): void {
    for (const stream of new Set(batch.map((w) => w.intent.stream)))
      this.lose(
        stream,
        batch.filter((w) => w.intent.stream === stream),
        true,
      );
  }

  private async afterUsedKey(waiting: Waiting[], send: Send): Promise<void> {
    const used = await usedKeys(
      this.db,
      waiting.flatMap((w) => (w.intent.key ? [w.intent.key] : [])),
    );
    const innocent = waiting.filter((w) => {
      const use = used.find((u) => w.intent.key?.scope === u.scope && w.intent.key.key.equals(u.key));
      if (use) w.resolve({ refusal: { code: 'key_used', request: use.request, salt: use.salt, body: use.body } });
      return !use;
    });
    // At once and by themselves: in the queue they would meet the next use of the same key, and the next.
    if (innocent.length > 0) await this.commit(innocent, send);
  }

  private async afterFailure(batch: Waiting[], error: Error, send: Send): Promise<void> {
    this.sender.forget(batch);
    this.counts.last_error = error.message;
    if ((error as { code?: string }).code === LOCK_NOT_AVAILABLE) return this.loseAll(batch);
    const outcome = outcomeOf(error);
    if (outcome !== 'final') return this.retryLater(batch, error, outcome === 'unknown');
    if (batch.length === 1) return this.refuse(batch[0]!, error);
    this.counts.halved += 1;
    const middle = Math.ceil(batch.length / 2);
    await this.commit(batch.slice(0, middle), send);
    await this.commit(batch.slice(middle), send);
  }

  /** Alone and still refused by the database: our own event, committed over a connection that broke; a race; or a bug. */
  private async refuse(waiting: Waiting, error: Error): Promise<void> {
    const constraint = error instanceof pg.DatabaseError ? error.constraint : undefined;
    waiting.doubted = true;
    if (constraint === 'idempotency_pkey' || constraint === 'event_one_terminal') return this.lose(waiting.intent.stream, [waiting], false);
    const [left] = await this.sender.withoutKnown([waiting]).catch(() => [waiting]);
    left?.reject(
      new OrchestratorError('internal', `the ledger refused event ${waiting.intent.drafts[0]?.id}: ${error.message}`, { cause: error }),
    );
  }

  /** The database is away or exhausted: wait longer each time, until the caller's patience ends. */
  private retryLater(batch: Waiting[], error: Error, unsure: boolean): void {
    this.pause = Math.min(PAUSE_MS.most, this.pause * 2 || PAUSE_MS.first);
    const now = Date.now();
    const again = batch.filter((waiting) => {
      waiting.unsure ||= unsure;
      if (waiting.giveUpAt > now) return true;
      waiting.reject(
        unavailable(`${waiting.unsure ? 'it is not known whether it was recorded' : 'nothing was recorded'}: ${error.message}`),
      );
      return false;
    });
    this.again(again);
  }

  /** Back to the front of the queue, or into the turn of their stream. */
  private again(waiting: Waiting[]): void {
    const free = waiting.filter((w) => !this.turns.take(w));
    if (free.length === 0) return;
    this.queue = [...free, ...this.queue];
    this.run();
  }

  async drain(): Promise<void> {
    do {
      await this.running;
      await this.turns.drain();
    } while (this.running || this.queue.length > 0);
  }

  status(): Record<string, unknown> {
    return { waiting: this.waiting, streams_cached: this.sender.cached, taking_turns: this.turns.size, ...this.counts };
  }
}

const unavailable = (why: string) =>
  new OrchestratorError('ledger_unavailable', `the ledger did not take the event: ${why}; try again`, { retryAfter: 1 });
