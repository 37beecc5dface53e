/**
 * A follower whose effect is inside our database: effect and cursor move in one transaction, so every event takes effect exactly once.
 *
 * An event that cannot be handled is isolated by halving the batch, tried three times, and then parked with its stream: later events of
 * that stream wait behind it, all others go on. Parked streams are tried again at every start and when somebody asks.
 */
import pg from 'pg';
import { Rounds } from '../kernel/rounds.system.js';
import type { Worker } from '../kernel/worker.js';
import { type Database, outcomeOf, type Tx } from './database.postgres.js';
import { enrol, lockCursor, moveCursor, noteError } from './follow.postgres.js';
import { askForRetry, type Parked, park, parkedStreams, unpark } from './park.postgres.js';
import { columnsAfter, type SequencedColumns, sequencedOfStream } from './read.postgres.js';

/** Handles events in idx order through `tx` alone. Throwing undoes the batch; it is tried again. Not retryable inside: keep it pure. */
export interface Follower {
  readonly name: string;
  handle(events: readonly SequencedColumns[], tx: Tx): Promise<void>;
}

const MOST = 500;
const TRIES = 3;
const POLL_MS = 1000;

export class FollowWorker implements Worker {
  readonly name: string;
  private readonly rounds: Rounds;
  private limit = MOST;
  private failures = 0;
  private handled = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly follower: Follower,
    /** Rests this long after each round, so that a busy ledger is followed in few transactions. */
    restMs = 250,
  ) {
    this.name = `follower ${follower.name}`;
    this.rounds = new Rounds(() => this.catchUp(), { pollMs: POLL_MS, restMs });
  }

  async start(): Promise<void> {
    await enrol(this.db, this.follower.name);
    await this.retryParked();
    this.rounds.start();
    this.kick();
  }

  kick(): void {
    this.rounds.kick();
  }

  /** Rounds until nothing is left, another replica has the cursor, or a round failed. */
  async catchUp(): Promise<void> {
    for (;;) {
      try {
        await this.retryDue();
        const more = await this.round();
        this.failures = 0;
        this.lastError = null;
        if (!more) return;
        this.limit = Math.min(MOST, this.limit * 2);
      } catch (error) {
        if (!(await this.afterFailure(error as Error))) return;
      }
    }
  }

  private round(): Promise<boolean> {
    return this.db.transaction(async (tx) => {
      const cursor = await lockCursor(tx, this.follower.name);
      if (cursor === undefined) return false;
      const events = await columnsAfter(tx, cursor, this.limit);
      if (events.length === 0) return false;
      const parked = new Set((await parkedStreams(tx, this.follower.name)).map((p) => p.stream));
      const open = events.filter((e) => !parked.has(e.stream));
      if (open.length > 0) await this.follower.handle(open, tx);
      await moveCursor(tx, this.follower.name, events.at(-1)!.idx);
      this.handled += open.length;
      return events.length === this.limit || this.limit < MOST;
    });
  }

  /** True: go on at once. A database that is away is nobody's poison: then the next kick or poll goes on. */
  private async afterFailure(error: Error): Promise<boolean> {
    this.lastError = error.message;
    try {
      await noteError(this.db, this.follower.name, error.message);
      if (error instanceof pg.DatabaseError && outcomeOf(error) !== 'final') return false;
      if (this.limit > 1) {
        this.limit = Math.max(1, Math.floor(this.limit / 2));
        return true;
      }
      this.failures += 1;
      if (this.failures < TRIES) return true;
      this.failures = 0;
      await this.parkNext(error);
      return true;
    } catch {
      return false; // it could not even be noted
    }
  }

  private parkNext(error: Error): Promise<void> {
    return this.db.transaction(async (tx) => {
      const cursor = await lockCursor(tx, this.follower.name);
      if (cursor === undefined) return;
      const parked = new Set((await parkedStreams(tx, this.follower.name)).map((p) => p.stream));
      const next = (await columnsAfter(tx, cursor, 1))[0];
      if (!next || parked.has(next.stream)) return;
      await park(tx, this.follower.name, { stream: next.stream, idx: next.idx, error: error.message });
      await moveCursor(tx, this.follower.name, next.idx);
    });
  }

  /** Has what waits on parked streams handled again, all streams or one. */
  async retryParked(stream?: string): Promise<void> {
    await askForRetry(this.db, this.follower.name, stream);
    this.kick();
  }

  private async retryDue(): Promise<void> {
    const due = (await parkedStreams(this.db, this.follower.name)).filter((parked) => parked.due);
    for (const parked of due) {
      await this.retry(parked).catch((error: Error) =>
        park(this.db, this.follower.name, { stream: parked.stream, idx: parked.from_idx, error: error.message }),
      );
    }
  }

  private retry(parked: Parked): Promise<void> {
    return this.db.transaction(async (tx) => {
      const cursor = await lockCursor(tx, this.follower.name);
      if (cursor === undefined) return; // still due
      for (let from = parked.from_idx; ; ) {
        const events = await sequencedOfStream(tx, parked.stream, { from, to: cursor, limit: MOST });
        if (events.length === 0) break;
        await this.follower.handle(events, tx);
        from = events.at(-1)!.idx + 1;
      }
      await unpark(tx, this.follower.name, parked.stream);
    });
  }

  async drain(): Promise<void> {
    await this.rounds.stop();
  }

  status(): Record<string, unknown> {
    return { handled: this.handled, last_error: this.lastError };
  }
}
