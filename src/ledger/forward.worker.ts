/**
 * A follower whose effect is outside our database. A lease says which replica forwards; no transaction stays open over a call. The cursor
 * moves after the effect and only under the lease's token, so a crash or a lost lease repeats deliveries and never skips one.
 *
 * Streams of a batch are delivered at once, the events of one stream in order. What a peer refuses for good is parked with its stream; a
 * peer that is away holds everything back: the batch is tried again, later each time.
 */
import type { Worker } from '../kernel/worker.js';
import type { Database } from './database.postgres.js';
import {
  askForRetry,
  enrol,
  type Lease,
  moveLeasedCursor,
  noteError,
  type Parked,
  type Poisoned,
  park,
  parkedStreams,
  releaseLease,
  renewLease,
  takeLease,
  unpark,
} from './follow.postgres.js';
import { type SequencedEvent, sequencedAfter, sequencedOfStream } from './read.postgres.js';

export interface Forwarder {
  readonly name: string;
  /** Delivers one event; the receiver may see it again. Resolves 'refused' when trying again can never help. Rejects when it may. */
  deliver(event: SequencedEvent, signal: AbortSignal): Promise<'delivered' | { refused: string }>;
}

export interface ForwardSettings {
  readonly leaseSeconds: number;
  readonly batch: number;
  /** Streams delivered at once. */
  readonly streams: number;
  readonly pauseMs: { first: number; most: number };
}

const LOST = 'the lease was lost; another replica repeats what was under way';

const DEFAULTS: ForwardSettings = { leaseSeconds: 15, batch: 200, streams: 8, pauseMs: { first: 200, most: 30_000 } };

export class ForwardWorker implements Worker {
  readonly name: string;
  private readonly stop = new AbortController();
  private running: Promise<void> | null = null;
  private wake: () => void = () => undefined;
  private delivered = 0;
  private pause = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly forwarder: Forwarder,
    private readonly owner: string,
    private readonly settings: ForwardSettings = DEFAULTS,
  ) {
    this.name = `follower ${forwarder.name}`;
  }

  async start(): Promise<void> {
    await enrol(this.db, this.forwarder.name);
    this.running = this.run();
  }

  /** Something was sequenced. A peer that is away is not asked sooner for it. */
  kick(): void {
    if (this.pause === 0) this.wake();
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        const lease = await takeLease(this.db, this.forwarder.name, this.owner, this.settings.leaseSeconds);
        if (lease) await this.underLease(lease);
        this.pause = 0;
        this.lastError = null;
      } catch (error) {
        this.lastError = (error as Error).message;
        await noteError(this.db, this.forwarder.name, this.lastError).catch(() => undefined);
        const { first, most } = this.settings.pauseMs;
        this.pause = Math.min(most, this.pause * 2 || first);
      }
      await this.rest(this.pause > 0 ? this.pause * (0.5 + Math.random() / 2) : 1000);
    }
  }

  private rest(milliseconds: number): Promise<void> {
    return new Promise((wake) => {
      const timer = setTimeout(wake, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        wake();
      };
      if (this.stop.signal.aborted) this.wake();
    });
  }

  /** Forwards until nothing is left. A lease that cannot be renewed aborts the calls under way. */
  private async underLease(lease: Lease): Promise<void> {
    const lost = new AbortController();
    const signal = AbortSignal.any([lost.signal, this.stop.signal]);
    const renewing = setInterval(
      () => {
        renewLease(this.db, this.forwarder.name, lease.token, this.settings.leaseSeconds)
          .then((held) => held || lost.abort(new Error(LOST)))
          .catch(() => undefined); // it expires by itself; the token protects the cursor
      },
      (this.settings.leaseSeconds * 1000) / 3,
    );
    try {
      let cursor = lease.cursor;
      while (!signal.aborted) {
        await this.retryDue({ cursor, token: lease.token }, signal);
        const events = await sequencedAfter(this.db, cursor, this.settings.batch);
        if (events.length === 0) break;
        cursor = events.at(-1)!.idx;
        await this.deliverBatch(events, { cursor, token: lease.token }, signal);
      }
    } finally {
      clearInterval(renewing);
      await releaseLease(this.db, this.forwarder.name, lease.token).catch(() => undefined);
    }
  }

  private async deliverBatch(events: readonly SequencedEvent[], to: Lease, signal: AbortSignal): Promise<void> {
    const parked = new Set((await parkedStreams(this.db, this.forwarder.name)).map((p) => p.stream));
    const streams = new Map<string, SequencedEvent[]>();
    for (const event of events) {
      if (parked.has(event.stream)) continue;
      const stream = streams.get(event.stream);
      if (stream) stream.push(event);
      else streams.set(event.stream, [event]);
    }
    const queue = [...streams.values()];
    const refusals: Poisoned[] = [];
    const lane = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const refusal = await this.deliverStream(next, signal);
        if (refusal) refusals.push(refusal);
      }
    };
    const lanes = await Promise.allSettled(Array.from({ length: Math.min(this.settings.streams, queue.length) }, lane));
    const failed = lanes.find((l) => l.status === 'rejected');
    if (failed) throw failed.reason;
    await this.db.transaction(async (tx) => {
      for (const refusal of refusals) await park(tx, this.forwarder.name, refusal);
      if (!(await moveLeasedCursor(tx, this.forwarder.name, to))) throw new Error(LOST);
    });
  }

  private async deliverStream(events: readonly SequencedEvent[], signal: AbortSignal): Promise<Poisoned | null> {
    for (const event of events) {
      signal.throwIfAborted();
      const outcome = await this.forwarder.deliver(event, signal);
      if (outcome !== 'delivered') return { stream: event.stream, idx: event.idx, error: outcome.refused };
      this.delivered += 1;
    }
    return null;
  }

  /** Has what waits on parked streams delivered by whichever replica forwards, all streams or one. */
  async retryParked(stream?: string): Promise<void> {
    await askForRetry(this.db, this.forwarder.name, stream);
    this.kick();
  }

  private async retryDue(lease: Lease, signal: AbortSignal): Promise<void> {
    const due = (await parkedStreams(this.db, this.forwarder.name)).filter((parked) => parked.due);
    for (const parked of due) {
      const refusal = await this.retry(parked, lease.cursor, signal);
      await this.db.transaction(async (tx) => {
        if (!(await renewLease(tx, this.forwarder.name, lease.token, this.settings.leaseSeconds))) throw new Error(LOST);
        if (refusal) await park(tx, this.forwarder.name, refusal);
        else await unpark(tx, this.forwarder.name, parked.stream);
      });
    }
  }

  private async retry(parked: Parked, to: number, signal: AbortSignal): Promise<Poisoned | null> {
    for (let from = parked.from_idx; ; ) {
      const events = await sequencedOfStream(this.db, parked.stream, { from, to, limit: this.settings.batch });
      if (events.length === 0) return null;
      const refusal = await this.deliverStream(events, signal);
      if (refusal) return refusal;
      from = events.at(-1)!.idx + 1;
    }
  }

  async drain(): Promise<void> {
    this.stop.abort(new Error('shutting down'));
    this.wake();
    await this.running;
  }

  status(): Record<string, unknown> {
    return { delivered: this.delivered, last_error: this.lastError, waits_ms: this.pause };
  }
}
