/** The events of a part of the global order: each by itself, its place, and the links between those of one stream that are in it. */
import type { EventFacts, Verification } from './verify.js';
import { readRecord } from './verify-record.js';
import { show } from './verify-report.js';

interface Last {
  readonly id: string;
  readonly seq: number;
  readonly hash: Buffer;
  readonly column: Buffer;
}

export class RangeWalk {
  private readonly streams = new Map<string, Last>();

  constructor(
    private readonly verification: Verification,
    /** The place that comes next. */
    private next: number,
  ) {}

  /** In the order of idx. */
  event({ row, payload, standing }: EventFacts): void {
    const { report, payload: payloads, sequence } = this.verification;
    const idx = Number(standing.leaves[0]?.idx);
    const at = { event_id: row.event_id, stream: row.stream, seq: Number(row.seq), idx };
    report.events += 1;
    report.count('sequence');
    if (idx > this.next) report.invalid('sequence', { ...at, event_id: null }, `leaf ${this.next} has no event, or is missing`);
    this.next = idx + 1;
    const { hash, envelope } = readRecord(row, at, report);
    const last = this.streams.get(row.stream);
    if (last && envelope) this.link(last, { seq: at.seq, prev: envelope.prev }, at);
    else if (!last) report.streams += 1;
    this.streams.set(row.stream, { id: row.event_id, seq: at.seq, hash, column: row.hash });
    if (envelope) payloads.event(envelope, payload, at);
    sequence.event(row, hash, standing, at);
  }

  private link(
    last: Last,
    { seq, prev }: { seq: number; prev: string | null },
    at: { event_id: string; stream: string; seq: number },
  ): void {
    const { report } = this.verification;
    report.count('chain');
    if (seq !== last.seq + 1) report.invalid('chain', at, `seq ${seq} comes after seq ${last.seq} (event ${last.id})`);
    else if (prev !== last.hash.toString('hex') && prev !== last.column.toString('hex'))
      report.invalid('chain', at, `prev is ${show(prev)}, but seq ${last.seq} (event ${last.id}) hashes to ${show(last.hash)}`);
  }

  /** `end`: the first place that was not asked for. */
  end(end: number): void {
    if (this.next < end)
      this.verification.report.invalid(
        'sequence',
        { event_id: null, stream: null, seq: null, idx: this.next },
        `leaves ${this.next} to ${end - 1} have no events, or are missing`,
      );
  }
}
