/** Hands checkpoints to whoever keeps them outside: each on its own, one replica at a time, again and later after a failure. */
import type { Worker } from '../kernel/worker.js';
import type { Anchor } from './anchor.js';
import { type AnchorRow, cosign, noteAnchored, noteAnchorFailed, postponeAnchor, takeAnchor } from './anchors.postgres.js';
import { newestCheckpoint, type PublishedCheckpoint } from './checkpoint.postgres.js';
import type { Database } from './database.postgres.js';
import { consistencyRanges } from './tree.js';
import { hashesOf } from './tree.postgres.js';

const LOOK_MS = 1000;
/** A replica that dies while it sends keeps the others from it for so long. */
const SENDING_SECONDS = 90;
const SENDING_MS = 60_000;
const LONGEST_PAUSE_SECONDS = 600;

export class Anchors implements Worker {
  readonly name = 'anchors';
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private readonly stopping = new AbortController();
  /** What each has, as far as this process knows. */
  private readonly known = new Map<string, AnchorRow>();
  private readonly counts = { anchored: 0, failed: 0, last_error: null as string | null };

  constructor(
    private readonly db: Database,
    private readonly anchors: readonly Anchor[],
    private readonly intervalSeconds: number,
    private readonly lookMs = LOOK_MS,
  ) {}

  start(): void {
    if (this.anchors.length === 0) return;
    this.timer = setInterval(() => void this.look(), this.lookMs);
    this.timer.unref();
  }

  look(): Promise<void> {
    this.running ??= Promise.all(this.anchors.map((anchor) => this.tend(anchor)))
      .then(
        () => {
          this.counts.last_error = null;
        },
        (error: Error) => {
          this.counts.last_error = error.message; // the next look tries again
        },
      )
      .finally(() => {
        this.running = null;
      });
    return this.running;
  }

  private async tend(anchor: Anchor): Promise<void> {
    const newest = await newestCheckpoint(this.db);
    if (newest === null || has(this.known.get(anchor.name), newest)) return;
    const row = await takeAnchor(this.db, anchor.name, SENDING_SECONDS);
    if (row === null) return;
    this.known.set(anchor.name, row);
    if (has(row, newest)) return postponeAnchor(this.db, anchor.name, 0);
    await this.send(anchor, newest, row);
  }

  private async send(anchor: Anchor, { origin, size, note }: PublishedCheckpoint, row: AnchorRow): Promise<void> {
    const to = BigInt(size);
    const proveFrom = (from: bigint) => hashesOf(this.db, consistencyRanges(from, to), to);
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(SENDING_MS)]);
    try {
      const { cosignatures } = await anchor.keep({ origin, size: to, note }, proveFrom, signal);
      if (cosignatures) await cosign(this.db, { origin, size }, cosignatures);
      await noteAnchored(this.db, anchor.name, { origin, size, seconds: this.intervalSeconds });
      this.counts.anchored += 1;
    } catch (error) {
      if (this.stopping.signal.aborted) return postponeAnchor(this.db, anchor.name, 0);
      this.counts.failed += 1;
      await noteAnchorFailed(this.db, anchor.name, { error: (error as Error).message, seconds: pauseAfter(row) });
    }
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    this.stopping.abort();
    await this.running;
  }

  status(): Record<string, unknown> {
    return { names: this.anchors.map(({ name }) => name), ...this.counts };
  }
}

const has = (row: AnchorRow | undefined, newest: PublishedCheckpoint): boolean => row?.origin === newest.origin && row.size === newest.size;

const pauseAfter = ({ tries }: AnchorRow): number => Math.min(LONGEST_PAUSE_SECONDS, 2 ** Math.min(tries, 10));
