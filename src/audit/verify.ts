/**
 * The audit: re-derives everything the ledger claims from the bytes of its records, one event at a time. It reads nothing itself; whoever
 * reads the tables hands over streams in "C" order, their events in the order of seq, then all leaves in the order of idx.
 *
 * It holds the state of one stream, and besides only what is out of order: open REQUESTs of that stream, findings, missing payload.
 */
import { PayloadCheck, type PayloadFact, type PayloadState } from './verify-payload.js';
import { type EventRow, readRecord } from './verify-record.js';
import { Report, type ReportState } from './verify-report.js';
import { SequenceCheck, type SequenceState, type Standing } from './verify-sequence.js';
import { type StreamFacts, StreamWalk } from './verify-stream.js';
import { type KnownCheckpoint, TreeCheck } from './verify-tree.js';
import type { Verdict } from './verify-verdict.js';

/** Everything about one event, as the tables had it. */
export interface EventFacts {
  readonly row: EventRow;
  readonly payload: readonly PayloadFact[];
  readonly standing: Standing;
}

export interface VerifyScope {
  /** Only the streams of this session. */
  readonly session?: { readonly tenant: string; readonly name: string };
  /** Only the events at these places of the global order, both included. */
  readonly range?: { readonly from: number; readonly to: number };
  /** From outside: verifier keys of the log, and checkpoints of it that were kept. */
  readonly keys?: readonly string[] | undefined;
  readonly known?: readonly KnownCheckpoint[] | undefined;
}

export interface VerifyProgress {
  /** Events. */
  readonly done: number;
  readonly total: number;
}

/** Any number of progresses, then the verdict. */
export type VerifyMessage = VerifyProgress | Verdict;

/** Plain data, to be passed between threads and kept in files. */
export interface VerificationState {
  readonly report: ReportState;
  readonly payload: PayloadState;
  readonly sequence: SequenceState;
}

const OF_THE_LEDGER = ['tree', 'checkpoints', 'known checkpoints', 'sequence'] as const;
const OF_WHOLE_STREAMS = ['lifecycle', 'stream heads', 'open requests', 'sessions', 'session completeness'] as const;

export class Verification {
  readonly report = new Report();
  readonly payload = new PayloadCheck(this.report);
  readonly sequence = new SequenceCheck(this.report);
  readonly tree: TreeCheck;
  private readonly scope: Verdict['scope'];
  private ahead: StreamFacts[] = [];
  private readonly bounds = new Map<string, number>();
  private walk: StreamWalk | null = null;

  constructor({ session, range, keys, known = [] }: VerifyScope = {}) {
    this.scope = session ? 'session' : range ? 'range' : 'ledger';
    this.tree = new TreeCheck(this.report, keys);
    const unasked = session ? OF_THE_LEDGER : range ? [...OF_THE_LEDGER.filter((check) => check !== 'sequence'), ...OF_WHOLE_STREAMS] : [];
    for (const check of unasked) this.report.notAsked(check, `only ${session ? 'one session' : 'a range'} was asked for`);
    if (this.scope === 'ledger') this.tree.known(known);
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
    if (this.walk.facts.erased !== null && BigInt(row.id) < BigInt(this.walk.facts.erased)) this.payload.mustBeGone(payload, at);
    if (read.unknownVersion && payload.length > 0) report.notChecked('payload of records of an unknown version');
    this.sequence.event(row, read.hash, standing, at);
  }

  endStreams(): void {
    while (this.ahead.length > 0) this.nextStream();
    this.walk?.end();
    this.walk = null;
    this.bounds.clear();
  }

  /** Of the streams that were walked to their end. */
  state(): VerificationState {
    this.endStreams();
    return { report: this.report.state(), payload: this.payload.state(), sequence: this.sequence.state() };
  }

  /** What another verification made of streams that this one leaves out. */
  absorb({ report, payload, sequence }: VerificationState): void {
    this.report.absorb(report);
    this.payload.absorb(payload);
    this.sequence.absorb(sequence);
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
