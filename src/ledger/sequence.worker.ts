/**
 * The sequencer: turns "committed" into "has its place in the global order", and grows the tree over it. Every replica runs one; the row
 * lock lets one of them at a time do the work. Kicked after each batch of its own process; polls for the batches of others.
 *
 * A poll reads `pending` only above a low-water id, the highest id sequenced ten seconds ago, so that it never walks over the dead rows
 * of a busy table; an event that took longer than that to commit is found by the full scan, made at take-over and once a minute.
 */
import { Rounds } from '../kernel/rounds.system.js';
import type { Worker } from '../kernel/worker.js';
import type { Database } from './database.postgres.js';
import { sequence } from './sequence.postgres.js';
import { TILE_WIDTH } from './tiles.js';
import { growTree } from './tree.postgres.js';

const LATE_MS = 10_000;
const SCAN_MS = 60_000;
const BATCH = 2000;
/** So many are added to the tree in a round of their own: some tenths of a second where a tree has to be caught up with. */
const TILES = 256;
/** With rest after each round: a ledger that is written to is sequenced some twenty times a second, not once per batch. */
const PACE = { pollMs: 100, restMs: 50 };

export interface SequencerOptions {
  /** Whether the Merkle tree grows with the order: a row for every full tile. */
  readonly tree?: boolean;
  readonly pace?: { readonly pollMs: number; readonly restMs: number };
}

export class Sequencer implements Worker {
  readonly name = 'sequencer';
  private readonly rounds: Rounds;
  private readonly growing: Rounds;
  /** After the last round that sequenced something. */
  private size = 0;
  private leading = false;
  private scannedAt = 0;
  private ledAt = 0;
  /** Highest ids sequenced in the last ten seconds, with the time; the one that falls out becomes the low-water id. */
  private marks: { at: number; id: number }[] = [];
  private lowWater = 0;
  private readonly counts = { sequenced: 0, rounds: 0 };

  constructor(
    private readonly db: Database,
    /** Called after every round that sequenced something. */
    private readonly sequenced: () => unknown = () => undefined,
    private readonly options: SequencerOptions = {},
  ) {
    this.rounds = new Rounds(() => this.sequenceAll(), options.pace ?? PACE);
    this.growing = new Rounds(() => this.grow(), options.pace ?? PACE);
  }

  start(): void {
    this.rounds.start();
  }

  /** Something may be pending. Cheap. */
  kick(): void {
    this.rounds.kick();
  }

  private async sequenceAll(): Promise<void> {
    while ((await this.round()) === BATCH);
  }

  private async round(): Promise<number> {
    const now = Date.now();
    while (this.marks.length > 0 && this.marks[0]!.at < now - LATE_MS) this.lowWater = Math.max(this.lowWater, this.marks.shift()!.id);
    // Taking over: somebody else sequenced lately, and what he left behind may lie below our mark.
    const scan = now - this.ledAt > LATE_MS || now - this.scannedAt > SCAN_MS;
    const { turn, n, last, size } = await sequence(this.db, scan ? 0 : this.lowWater, BATCH);
    if (turn && scan && n < BATCH) this.scannedAt = now;
    this.leading = turn;
    if (turn) this.ledAt = now;
    if (n === 0) return n;
    this.marks.push({ at: now, id: Math.max(last!, this.marks.at(-1)?.id ?? 0) });
    this.counts.sequenced += n;
    this.counts.rounds += 1;
    this.sequenced();
    this.size = size!;
    if (this.options.tree && Math.floor(size! / TILE_WIDTH) > Math.floor((size! - n) / TILE_WIDTH)) this.growing.kick();
    return n;
  }

  /** Beside the sequencing, which waits for no hash. What a crash leaves out is added with the next tile, or by who signs. */
  private async grow(): Promise<void> {
    if (!(await growTree(this.db, this.size, TILES))) this.growing.kick();
  }

  /** With what this process appended last. */
  async drain(): Promise<void> {
    await this.rounds.stop();
    await this.rounds.once();
    await this.growing.stop();
  }

  status(): Record<string, unknown> {
    return { leading: this.leading, ...this.counts, last_error: this.rounds.lastError, tree_error: this.growing.lastError };
  }
}
