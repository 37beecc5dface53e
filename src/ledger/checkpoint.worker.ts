/**
 * Publishes checkpoints: soon after the ledger grew, at most one per interval, none while nothing changes. Every replica runs one; whoever finds
 * something to sign does it, and the row of `log` lets one of them win.
 */
import type { Worker } from '../kernel/worker.js';
import { forgetCheckpoints, type PublishedEvent, publishedEvent } from './checkpoint.postgres.js';
import type { Database } from './database.postgres.js';
import type { CheckpointSigner, Signed } from './signer.postgres.js';

/** For what nobody was told of, and for another look after a refusal or a failure. */
const POLL_MS = 10_000;
const FORGET_MS = 3_600_000;
const LOOK_MS = 50;
/** Beyond the interval: sequencing, hashing, signing. */
const PATIENCE_MS = 5000;

export class Checkpoints implements Worker {
  readonly name = 'checkpoints';
  private poll: NodeJS.Timeout | undefined;
  private next: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private dirty = false;
  private stopped = false;
  private forgotAt = 0;
  private head: Pick<Signed, 'origin' | 'size'> | null = null;
  private refused: string | null;
  private readonly counts = { signed: 0, last_error: null as string | null };

  constructor(
    private readonly db: Database,
    /** In its place: why there is none. */
    private readonly signer: CheckpointSigner | string,
    private readonly intervalMs: number,
    /** Told once of each reason for which nothing is signed. */
    private readonly complain: (why: string) => void = () => undefined,
  ) {
    this.refused = typeof signer === 'string' ? signer : null;
  }

  start(): void {
    if (typeof this.signer === 'string') return;
    this.poll = setInterval(() => this.kick(), POLL_MS);
    this.poll.unref();
    this.kick();
  }

  /** The ledger may have grown. Cheap; any number of kicks make one checkpoint per interval. */
  kick(): void {
    if (this.stopped || typeof this.signer === 'string') return;
    if (this.running) this.dirty = true;
    else if (!this.next) this.run();
  }

  private run(): void {
    this.next = undefined;
    this.dirty = false;
    this.running = this.round().then((wait) => {
      this.running = null;
      if (this.stopped || (wait === 0 && !this.dirty)) return;
      this.next = setTimeout(() => this.run(), wait || this.intervalMs);
      this.next.unref();
    });
  }

  /** Never rejects. Returns when to look again, in milliseconds; 0: when somebody says so. */
  private async round(intervalMs = this.intervalMs): Promise<number> {
    try {
      const signed = await (this.signer as CheckpointSigner).sign(intervalMs);
      this.counts.last_error = null;
      if (signed === null) return LOOK_MS;
      if ('refused' in signed) return this.refuse(signed.refused);
      this.refused = null;
      if (signed.now) this.counts.signed += 1;
      this.head = { origin: signed.origin, size: signed.size };
      await this.forget();
      return signed.wait;
    } catch (error) {
      this.counts.last_error = (error as Error).message;
      return Math.max(this.intervalMs, 1000);
    }
  }

  private refuse(why: string): number {
    if (this.refused !== why) this.complain(why);
    this.refused = why;
    return POLL_MS;
  }

  private async forget(): Promise<void> {
    if (Date.now() - this.forgotAt < FORGET_MS) return;
    this.forgotAt = Date.now();
    await forgetCheckpoints(this.db);
  }

  /** Why nothing is signed; null: nothing stands against it. */
  get refusal(): string | null {
    return this.refused;
  }

  /** Resolves when a published checkpoint has the event at this place, whoever signed it; with null if none has within so many milliseconds. */
  async published(place: { stream: string; seq: number }, milliseconds = this.intervalMs + PATIENCE_MS): Promise<PublishedEvent | null> {
    for (const end = Date.now() + milliseconds; ; ) {
      const found = await publishedEvent(this.db, place);
      if (found || this.intervalMs === 0 || Date.now() >= end) return found;
      await new Promise((wake) => setTimeout(wake, LOOK_MS));
    }
  }

  async drain(): Promise<void> {
    clearInterval(this.poll);
    clearTimeout(this.next);
    const first = !this.stopped && typeof this.signer !== 'string';
    this.stopped = true;
    await this.running;
    if (first) await this.round(0); // what was sequenced last
  }

  status(): Record<string, unknown> {
    return { ...this.head, refused: this.refused, ...this.counts };
  }
}
