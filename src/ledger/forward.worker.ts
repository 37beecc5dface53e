/**
 * A follower whose effect is outside our database. A lease says which replica forwards; no transaction stays open over a call. The cursor
 * moves after the effect and only under the lease's token, so a crash or a lost lease repeats deliveries and never skips one.
 *
 * A peer that is away holds everything back: the round is tried again, later each time. A single event that fails while others are taken
 * steps aside with its stream (it is parked) and is tried again by itself; if the peer refused it, only so many times, then somebody must ask.
 */
import { OrchestratorError } from '../kernel/errors.js';
import type { Worker } from '../kernel/worker.js';
import type { Database, Tx } from './database.postgres.js';
import { enrol, type Lease, noteError, releaseLease, renewLease, takeLease } from './follow.postgres.js';
import { ForwardRound, LEASE_LOST, type RoundResult } from './forward-round.postgres.js';
import type { SequencedEvent } from './read.postgres.js';

export interface Forwarder<Message> {
  readonly name: string;
  /** What to send, by event id, read in few queries. An event without a message is passed over. */
  prepare(events: readonly SequencedEvent[], tx: Tx): Promise<ReadonlyMap<string, Message>>;
  /**
   * Delivers one message; the receiver may see it again. Resolves 'refused' when the peer is well and does not want just this one. Rejects
   * when it may help to try again, at once while the peer is known to be away; `retryAfter` of the error is waited for.
   */
  deliver(message: Message, signal: AbortSignal): Promise<'delivered' | { refused: string }>;
  /** Asked before anything is sent after a round that failed: rejects while the peer is away. */
  probe(signal: AbortSignal): Promise<void>;
  /** Told when it follows for the first time, and events before this idx will not be delivered. */
  begins?(idx: number): void;
  /** Told once when the peer has been away for some tries, and once when everything that waited since has been delivered. */
  away(error: Error): void;
  back(delivered: number): void;
  /** What of it belongs into /v1/status. */
  status?(): Record<string, unknown>;
  /** Nothing is delivered any more. */
  close?(): Promise<void>;
}

export interface ForwardSettings {
  /** Where a follower begins that has never followed. */
  readonly begin: 'first' | 'next';
  readonly leaseSeconds: number;
  /** Events, and bytes of payload, read at once. A larger event goes alone. */
  readonly batch: number;
  readonly bytes: number;
  /** Streams delivered at once. */
  readonly streams: number;
  /** How often an event is tried that the peer refuses. */
  readonly tries: number;
  readonly pauseMs: { first: number; most: number };
  /** Somebody waits for this process: forwarding gives way. */
  readonly pressed: () => boolean;
}

export const FORWARD_DEFAULTS: ForwardSettings = {
  begin: 'first',
  leaseSeconds: 15,
  batch: 500,
  bytes: 8 * 1024 * 1024,
  streams: 8,
  tries: 5,
  pauseMs: { first: 200, most: 30_000 },
  pressed: () => false,
};

const POLL_MS = 1000;
/** Rest between rounds of a busy ledger: few large batches instead of many small ones. */
const REST_MS = 100;
/** Failures in a row after which the peer counts as away and is told of. */
const AWAY = 3;

export class ForwardWorker<Message> implements Worker {
  readonly name: string;
  private readonly stop = new AbortController();
  private running: Promise<void> | null = null;
  private wake: () => void = () => undefined;
  private kicked = false;
  private leading = false;
  private failures = 0;
  private pause = 0;
  private delivered = 0;
  private lastError: string | null = null;
  /** What had been delivered when the peer went away; null: it is not. */
  private away: number | null = null;
  private token = 0;
  private readonly rounds: ForwardRound<Message>;

  constructor(
    private readonly db: Database,
    private readonly forwarder: Forwarder<Message>,
    private readonly owner: string,
    private readonly settings: ForwardSettings = FORWARD_DEFAULTS,
  ) {
    this.name = `follower ${forwarder.name}`;
    this.rounds = new ForwardRound(db, forwarder, settings);
  }

  async start(): Promise<void> {
    const cursor = await enrol(this.db, this.forwarder.name, this.settings.begin);
    if (cursor !== undefined && cursor >= 0) this.forwarder.begins?.(cursor + 1);
    this.running = this.run();
  }

  /** Something was sequenced. A peer that is away is not asked sooner for it. */
  kick(): void {
    this.kicked = true;
    this.wake();
  }

  private async run(): Promise<void> {
    const { leaseSeconds: seconds } = this.settings;
    while (!this.stop.signal.aborted) {
      this.kicked = false;
      try {
        const lease = await takeLease(this.db, this.forwarder.name, { owner: this.owner, seconds, alone: this.db.embedded });
        if (lease) await this.underLease(lease);
        this.pause = 0;
      } catch (error) {
        await this.failed(error as Error);
      }
      await this.rest(REST_MS, false);
      if (this.pause > 0 || !this.kicked) await this.rest(this.pause || POLL_MS, this.pause === 0);
    }
  }

  private rest(milliseconds: number, untilKicked: boolean): Promise<void> {
    return new Promise((wake) => {
      const over = () => {
        clearTimeout(timer);
        this.stop.signal.removeEventListener('abort', over);
        wake();
      };
      const timer = setTimeout(over, milliseconds);
      this.stop.signal.addEventListener('abort', over);
      this.wake = untilKicked ? over : () => undefined;
      if (this.stop.signal.aborted) over();
    });
  }

  /** Exponential back-off with full jitter, or as long as the peer asked for. */
  private async failed(error: Error): Promise<void> {
    if (this.stop.signal.aborted) return;
    this.lastError = error.message;
    await noteError(this.db, this.forwarder.name, error.message).catch(() => undefined);
    const { first, most } = this.settings.pauseMs;
    const asked = error instanceof OrchestratorError ? (error.retryAfter ?? 0) * 1000 : 0;
    this.pause = Math.max(1, asked, Math.random() * Math.min(most, first * 2 ** Math.min(this.failures, 30)));
    if (error.message === LEASE_LOST) return; // the peer has nothing to do with it
    this.failures += 1;
    if (this.failures < AWAY || this.away !== null) return;
    this.away = this.delivered;
    this.forwarder.away(error);
  }

  private caughtUp(): void {
    this.failures = 0;
    this.lastError = null;
    if (this.away !== null) this.forwarder.back(this.delivered - this.away);
    this.away = null;
  }

  /** Forwards until nothing is left. A lease that cannot be renewed aborts the calls under way. */
  private async underLease(lease: Lease): Promise<void> {
    const { leaseSeconds: seconds } = this.settings;
    // Somebody else forwarded in between, or asked for a replay: what we remember is not the whole story any more.
    if (lease.token !== this.token + 1) this.rounds.forget();
    this.token = lease.token;
    const end = new AbortController();
    const stop = () => end.abort(this.stop.signal.reason);
    this.stop.signal.addEventListener('abort', stop);
    const renew = () =>
      void renewLease(this.db, this.forwarder.name, lease.token, seconds).then(
        (held) => held || end.abort(new Error(LEASE_LOST)),
        () => undefined, // it expires by itself; the token protects the cursor
      );
    const renewing = setInterval(renew, (seconds * 1000) / 3);
    this.leading = true;
    try {
      if (this.failures > 0) await this.forwarder.probe(end.signal);
      for (let cursor: number | null = lease.cursor; cursor !== null; ) {
        end.signal.throwIfAborted();
        const round: RoundResult = await this.rounds.run({ cursor, token: lease.token }, end.signal);
        this.delivered += round.delivered;
        if (round.delivered > 0) this.failures = Math.min(this.failures, 1);
        if (round.failure) throw round.failure;
        cursor = round.cursor;
      }
      this.caughtUp();
    } finally {
      this.leading = false;
      this.stop.signal.removeEventListener('abort', stop);
      clearInterval(renewing);
      await releaseLease(this.db, this.forwarder.name, lease.token).catch(() => undefined);
    }
  }

  async drain(): Promise<void> {
    this.stop.abort(new Error('shutting down'));
    await this.running;
    await this.forwarder.close?.();
  }

  status(): Record<string, unknown> {
    const { leading, delivered, lastError: last_error, pause: waits_ms } = this;
    return { leading, delivered, last_error, waits_ms: Math.round(waits_ms), ...this.forwarder.status?.() };
  }
}
