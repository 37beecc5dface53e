/** The global order: every event's leaf or its waiting for one, and the numbering of all leaves. */
import { hash as digestOf } from 'node:crypto';
import type { EventRow } from './verify-record.js';
import { type Report, show } from './verify-report.js';
import type { Place } from './verify-verdict.js';

/** A row of `leaf`. `at`: sequenced_at in microseconds since 1970. */
export interface LeafRow {
  readonly idx: string;
  readonly event: string;
  readonly hash: Buffer;
  readonly at: number;
  readonly digest: Buffer;
}

/** Where an event stood in the global order at one moment. `pending`: that moment on the database's clock, in microseconds, if it waited. */
export interface Standing {
  readonly leaves: readonly LeafRow[];
  readonly pending: number | null;
}

/** A leaf in the walk over the whole order. `lost`: the event it names does not exist. */
export interface OrderedLeaf {
  readonly idx: string;
  readonly event: string;
  readonly at: number;
  readonly hash: Buffer;
  readonly lost: boolean;
}

interface Late {
  readonly at: Place;
  readonly seconds: number;
}

export interface SequenceState {
  readonly waiting: readonly (readonly [string, Late])[];
  readonly victims: readonly (readonly [string, Place])[];
}

/** Within so many milliseconds an event has its place. */
const MERGE_DELAY = 10_000;
const REMEMBERED = 1000;

export class SequenceCheck {
  private stream = '';
  private idx = -1;
  private next = 0;
  private at = Number.NEGATIVE_INFINITY;
  private readonly waiting = new Map<string, Late>();
  private readonly victims = new Map<string, Place>();

  constructor(private readonly report: Report) {}

  /** In the order of streams and seq. */
  event(row: EventRow, hash: Buffer, standing: Standing, at: Place): void {
    const { report } = this;
    const { leaves, pending } = standing;
    report.count('leaves');
    for (const leaf of leaves) this.leaf(leaf, row, hash, { ...at, idx: Number(leaf.idx) });
    const [leaf] = leaves;
    if (leaf === undefined) {
      this.withoutLeaf(row, pending, at);
      return;
    }
    const idx = Number(leaf.idx);
    if (pending !== null) report.invalid('leaves', { ...at, idx }, `event ${row.event_id} has leaf ${leaf.idx} and still waits in pending`);
    if (leaves.length > 1)
      report.invalid('leaves', { ...at, idx }, `event ${row.event_id} has ${leaves.length} leaves: ${leaves.map((l) => l.idx).join(', ')}`);
    if (row.stream !== this.stream) this.idx = -1;
    if (idx <= this.idx)
      report.invalid('leaves', { ...at, idx }, `leaf ${idx} does not come after leaf ${this.idx} of the event before it in the stream`);
    this.stream = row.stream;
    this.idx = Math.max(idx, this.idx);
  }

  private leaf(leaf: LeafRow, row: EventRow, hash: Buffer, at: Place): void {
    const { report } = this;
    if (leaf.at % 1000 !== 0)
      report.invalid('leaves', at, `leaf ${leaf.idx} was sequenced at ${leaf.at} µs, which is no whole millisecond`);
    else if (leafDigest(leaf) !== leaf.digest.toString('hex')) {
      report.invalid('leaves', at, `the columns of leaf ${leaf.idx} hash to ${leafDigest(leaf)}, its digest is ${show(leaf.digest)}`);
    }
    if (!leaf.hash.equals(hash) && !leaf.hash.equals(row.hash)) {
      report.invalid('leaves', at, `leaf ${leaf.idx} has hash ${show(leaf.hash)}, event ${row.event_id} hashes to ${show(hash)}`);
    }
  }

  private withoutLeaf(row: EventRow, pending: number | null, at: Place): void {
    if (pending === null) {
      this.report.incomplete('leaves', at, `event ${row.event_id} has no leaf and does not wait in pending for one`);
      if (this.victims.size < REMEMBERED) this.victims.set(row.hash.toString('hex'), at);
      return;
    }
    const age = pending / 1000 - Date.parse(row.time);
    if (age > MERGE_DELAY && this.waiting.size < REMEMBERED) this.waiting.set(row.id, { at, seconds: Math.round(age / 1000) });
  }

  /** Row ids that waited longer than the merge delay when they were looked at. Some were only recorded late: look again at the end. */
  late(): string[] {
    return [...this.waiting.keys()];
  }

  stillLate(ids: readonly string[]): void {
    for (const id of ids) {
      const late = this.waiting.get(id);
      if (late)
        this.report.incomplete(
          'leaves',
          late.at,
          `event ${late.at.event_id} waits since ${late.seconds} s for its leaf, more than ${MERGE_DELAY / 1000} s: is no server running?`,
        );
    }
  }

  /** What events of streams have left for the walk over the order. */
  state(): SequenceState {
    return { waiting: [...this.waiting], victims: [...this.victims] };
  }

  absorb({ waiting, victims }: SequenceState): void {
    for (const [id, late] of waiting) if (this.waiting.size < REMEMBERED) this.waiting.set(id, late);
    for (const [hash, at] of victims) if (this.victims.size < REMEMBERED) this.victims.set(hash, at);
  }

  /** An id in `pending` of no event. */
  strayPending(id: string): void {
    this.report.invalid('leaves', { event_id: null, stream: null, seq: null }, `pending names event row ${id}, which does not exist`);
  }

  /** In the order of idx. */
  ordered(leaf: OrderedLeaf): void {
    const { report } = this;
    const idx = Number(leaf.idx);
    const at = { event_id: null, stream: null, seq: null, idx };
    report.count('sequence');
    if (idx > this.next) {
      const missing = idx === this.next + 1 ? `leaf ${this.next} is missing` : `leaves ${this.next} to ${idx - 1} are missing`;
      report.invalid('sequence', { ...at, idx: this.next }, `${missing}: the next is leaf ${leaf.idx}`);
    }
    if (idx < this.next) report.invalid('sequence', at, `leaf ${leaf.idx} stands where leaf ${this.next} is expected`);
    if (leaf.at < this.at)
      report.invalid('sequence', at, `leaf ${leaf.idx} was sequenced at ${leaf.at} µs, earlier than the leaf before it at ${this.at} µs`);
    if (leaf.lost) this.orphan(leaf, at);
    this.next = Math.max(this.next, idx + 1);
    this.at = Math.max(this.at, leaf.at);
  }

  private orphan(leaf: OrderedLeaf, at: Place): void {
    const victim = this.victims.get(leaf.hash.toString('hex'));
    const origin = victim ? `; by its hash it belongs to event ${victim.event_id}` : '';
    this.report.invalid(
      'leaves',
      { ...at, ...victim, idx: Number(leaf.idx) },
      `leaf ${leaf.idx} names event row ${leaf.event}, which does not exist${origin}`,
    );
  }

  /** `sequencer` as it stood when the walk over the order began, which ended at its last leaf. */
  end(sequencer: { size: string; at: number } | null): void {
    const at = { event_id: null, stream: null, seq: null, idx: this.next };
    if (sequencer === null) this.report.invalid('sequence', at, 'the table sequencer has no row');
    else if (sequencer.size !== String(this.next))
      this.report.invalid('sequence', at, `sequencer says size ${sequencer.size}, the leaves end at ${this.next}`);
    else if (sequencer.at < this.at)
      this.report.invalid('sequence', at, `sequencer says ${sequencer.at} µs, the last leaf was sequenced at ${this.at} µs`);
  }
}

/** Hex. What `leafDigestInput` of ledger/sequence.postgres.ts makes in SQL. */
export const leafDigest = ({ idx, event, hash, at }: Omit<LeafRow, 'digest'>): string =>
  digestOf('sha256', `${idx} ${event} ${hash.toString('hex')} ${at / 1000}`, 'hex');
