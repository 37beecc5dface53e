/**
 * The audit: re-derives everything the ledger claims from the bytes of its records, one event at a time. It reads nothing itself; whoever
 * reads the tables hands over streams in "C" order, their events in the order of seq, then all leaves in the order of idx.
 *
 * It holds the state of one stream, and besides only what is out of order: open REQUESTs of that stream, findings, missing payload.
 */
import { PayloadCheck, type PayloadFact } from './verify-payload.js';
import { type EventRow, readRecord } from './verify-record.js';
import { Report, type Verdict } from './verify-report.js';
import { SequenceCheck, type Standing } from './verify-sequence.js';
import { type StreamFacts, StreamWalk } from './verify-stream.js';

/** Everything about one event, as the tables had it. */
export interface EventFacts {
  readonly row: EventRow;
  readonly payload: readonly PayloadFact[];
  readonly standing: Standing;
}

export interface VerifyScope {
  /** Only the streams of this session. */
  readonly session?: { readonly tenant: string; readonly name: string };
}

export interface VerifyProgress {
  /** Events. */
  readonly done: number;
  readonly total: number;
}

/** Any number of progresses, then the verdict. */
export type VerifyMessage = VerifyProgress | Verdict;

export class Verification {
  readonly report = new Report();
  readonly payload = new PayloadCheck(this.report);
  readonly sequence = new SequenceCheck(this.report);
  private ahead: StreamFacts[] = [];
  private readonly bounds = new Map<string, number>();
  private walk: StreamWalk | null = null;

  constructor(private readonly scope: Verdict['scope']) {
    if (scope === 'session') this.report.notAsked('sequence', 'only one session was asked for');
  }

  /** The streams that come next. Their events follow, those of no other stream count. */
  streams(facts: readonly StreamFacts[]): void {
    this.endStreams();
    this.ahead = [...facts].reverse();
    for (const { stream, last } of facts) this.bounds.set(stream, last === null ? 0 : Number(last));
  }

  event({ row, payload, standing }: EventFacts): void {
    const bound = this.bounds.get(row.stream);
    if (bound === undefined || Number(row.seq) > bound) return; // appended since
    while (this.walk?.facts.stream !== row.stream) this.nextStream();
    const { report } = this;
    const [leaf] = standing.leaves;
    const at = { event_id: row.event_id, stream: row.stream, seq: Number(row.seq), ...(leaf ? { idx: Number(leaf.idx) } : {}) };
    report.events += 1;
    const read = readRecord(row, at, report);
    this.walk.event(row, read, at);
    if (read.envelope) this.payload.event(read.envelope, payload, at);
    else if (read.unknownVersion && payload.length > 0) report.notChecked('payload of records of an unknown version');
    this.sequence.event(row, read.hash, standing, at);
  }

  endStreams(): void {
    while (this.ahead.length > 0) this.nextStream();
    this.walk?.end();
    this.walk = null;
    this.bounds.clear();
  }

  verdict(): Verdict {
    this.endStreams();
    this.payload.end();
    return this.report.verdict(this.scope);
  }

  private nextStream(): void {
    this.walk?.end();
    this.walk = new StreamWalk(this.ahead.pop()!, this.report);
  }
}
