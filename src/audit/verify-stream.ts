/** One stream: its numbering, its links, the life of its contracts, and the rows that repeat its state. */
import type { EventType } from '../ledger/record.js';
import type { Envelope, EventRow, ReadRecord } from './verify-record.js';
import { type Report, show } from './verify-report.js';
import type { Place } from './verify-verdict.js';

/** What the tables said about a stream at one moment. */
export interface StreamFacts {
  readonly stream: string;
  /** Highest seq of its events, null if it has none; what comes later is of no concern. */
  readonly last: string | null;
  readonly head: { readonly seq: string; readonly head: Buffer; readonly base: Buffer } | null;
  /** Ids in `open_request`. */
  readonly open: readonly string[];
  /** Row id of the last payload.erased that took all of it, if that is done: of the events before, nothing may be left. */
  readonly erased: string | null;
}

const KNOWN: Record<EventType, true> = {
  'contract.request': true,
  'contract.response': true,
  'session.closed': true,
  'session.compressed': true,
  'agent.registered': true,
  'agent.updated': true,
  'agent.retired': true,
  'agent.started': true,
  'agent.stopped': true,
  'agent.health': true,
  'agent.breaker': true,
  'payload.erased': true,
  'hold.placed': true,
  'hold.released': true,
  'log.started': true,
};

const SESSION = /^[^/]+\/session\//;

/** Hashes that are remembered for the memory blocks that name them; a block is recorded soon after what it is made of. */
const HASHES = 10_000;

export class StreamWalk {
  private seq = 0;
  private last: { id: string; hash: Buffer; column: Buffer } | null = null;
  private sealedAt: number | null = null;
  private baseSeen = false;
  private readonly open = new Map<string, number>();
  private readonly hashes = new Map<number, { hash: Buffer; column: Buffer }>();

  constructor(
    readonly facts: StreamFacts,
    private readonly report: Report,
  ) {
    report.streams += 1;
  }

  /** In the order of seq. Where the record cannot be read, the columns stand in, so that one damaged event is told once. */
  event(row: EventRow, read: ReadRecord, at: Place): void {
    if (!this.takePlace(row, read, at)) return;
    this.live(read.envelope?.id ?? row.event_id, row, read.envelope, at);
    this.last = { id: row.event_id, hash: read.hash, column: row.hash };
    this.hashes.set(this.seq, this.last);
    if (this.hashes.size > HASHES) this.hashes.delete(this.hashes.keys().next().value!);
    const { head } = this.facts;
    if (head && !this.baseSeen && head.base.equals(read.hash) && this.seq < Number(head.seq)) this.baseSeen = true;
  }

  /** Numbering and link. False: the place is taken already. */
  private takePlace(row: EventRow, { envelope }: ReadRecord, at: Place): boolean {
    const { report } = this;
    const seq = Number(row.seq);
    report.count('chain');
    if (seq <= this.seq) {
      report.invalid('chain', at, `seq ${row.seq} comes after seq ${this.seq}: two events for one place`);
      return false;
    }
    const gap = seq > this.seq + 1;
    if (gap) {
      const missing = seq === this.seq + 2 ? `seq ${this.seq + 1} is missing` : `seq ${this.seq + 1} to ${seq - 1} are missing`;
      const before = this.last ? `after seq ${this.seq} (event ${this.last.id})` : 'at the start of the stream';
      report.invalid(
        'chain',
        { event_id: null, stream: row.stream, seq: this.seq + 1 },
        `${missing}: ${before} comes seq ${row.seq} (event ${row.event_id})`,
      );
    } else if (envelope) this.compareLink(envelope, at);
    this.seq = seq;
    return true;
  }

  private compareLink({ prev }: Envelope, at: Place): void {
    const { last } = this;
    // A hash column that was damaged alone has been told with its own event.
    if (last === null || prev === last.hash.toString('hex') || prev === last.column.toString('hex')) return;
    this.report.invalid('chain', at, `prev is ${show(prev)}, but seq ${this.seq} (event ${last.id}) hashes to ${show(last.hash)}`);
  }

  private live(id: string, row: EventRow, envelope: Envelope | null, at: Place): void {
    const { report } = this;
    const type = envelope?.type ?? row.type;
    if (!Object.hasOwn(KNOWN, type)) {
      report.notChecked(`lifecycle of type ${type}`);
      return;
    }
    report.count('lifecycle');
    if (type === 'contract.request' || type === 'contract.response') {
      if (this.sealedAt !== null) report.invalid('lifecycle', at, `a ${type} follows session.closed at seq ${this.sealedAt}`);
    }
    if (type === 'contract.request') this.open.set(id, this.seq);
    if (type === 'contract.response') {
      const request = envelope?.in_reply_to ?? row.in_reply_to;
      if (request === null || !this.open.delete(request)) {
        report.invalid(
          'lifecycle',
          at,
          `a RESPONSE to ${show(request)}, which is no open REQUEST of this stream: never asked here, or answered before`,
        );
      }
    }
    if (type === 'session.closed') this.seal(envelope, at);
    if (type === 'session.compressed' && envelope !== null) this.compressed(envelope, at);
  }

  /** A memory block is made of what stands before it, and says by its hash which state that was. */
  private compressed({ from_seq, to_seq, source_hash }: Envelope, at: Place): void {
    const { report } = this;
    if (to_seq === undefined || from_seq === undefined) return;
    if (from_seq > to_seq || to_seq >= this.seq) {
      report.invalid('lifecycle', at, `a memory block at seq ${this.seq} says it was made of seq ${from_seq} to ${to_seq}`);
      return;
    }
    const source = this.hashes.get(to_seq);
    if (source === undefined) report.notChecked(`source_hash of memory blocks recorded ${HASHES} events after their source`);
    else if (source_hash !== source.hash.toString('hex') && source_hash !== source.column.toString('hex'))
      report.invalid('lifecycle', at, `source_hash is ${show(source_hash)}, but seq ${to_seq} hashes to ${show(source.hash)}`);
  }

  private seal(envelope: Envelope | null, at: Place): void {
    const { report } = this;
    if (this.sealedAt !== null) report.invalid('lifecycle', at, `session.closed a second time, after seq ${this.sealedAt}`);
    if (this.open.size > 0)
      report.invalid('lifecycle', at, `session.closed while ${this.open.size} REQUESTs are open, the first is ${[...this.open.keys()][0]}`);
    this.sealedAt = this.seq;
    if (envelope === null) return;
    const expected = envelope.prev === null ? undefined : this.seq - 1;
    if (envelope.last_seq !== expected)
      report.invalid('lifecycle', at, `last_seq is ${show(envelope.last_seq)}, expected ${show(expected)}`);
    if ((envelope.last_head ?? null) !== envelope.prev)
      report.invalid('lifecycle', at, `last_head is ${show(envelope.last_head)}, expected ${show(envelope.prev)}`);
  }

  end(): void {
    this.compareHead();
    this.compareOpen();
    if (this.last !== null && SESSION.test(this.facts.stream)) this.report.session(this.sealedAt !== null);
  }

  private compareHead(): void {
    const { report, last, facts } = this;
    const { stream, head } = facts;
    const at = { event_id: last?.id ?? null, stream, seq: this.seq };
    report.count('stream heads');
    if (head === null && last === null) return; // only named: told by who named it
    if (head === null) {
      report.invalid('stream heads', at, `stream ${show(stream)} has events up to seq ${this.seq} and no row in stream_head`);
      return;
    }
    if (last === null) {
      report.invalid(
        'stream heads',
        { ...at, seq: Number(head.seq) },
        `stream_head has a row for stream ${show(stream)}, which has no event`,
      );
      return;
    }
    if (head.seq !== String(this.seq))
      report.invalid('stream heads', at, `stream_head says seq ${head.seq}, the last event has seq ${this.seq}`);
    if (!head.head.equals(last.hash) && !head.head.equals(last.column)) {
      report.invalid('stream heads', at, `stream_head says head ${show(head.head)}, the last event hashes to ${show(last.hash)}`);
    }
    if (head.base.length > 0 && !this.baseSeen) {
      report.invalid(
        'stream heads',
        at,
        `stream_head was built on ${show(head.base)}, which is the hash of no earlier event of this stream`,
      );
    }
  }

  /** Nobody closes a REQUEST without a row in open_request; a row without an open REQUEST blocks the close of its session for ever. */
  private compareOpen(): void {
    const { report, facts, open } = this;
    const rows = new Set(facts.open);
    report.count('open requests', open.size);
    for (const [id, seq] of open) {
      const at = { event_id: id, stream: facts.stream, seq };
      report.openRequest(at);
      if (!rows.delete(id))
        report.invalid('open requests', at, `REQUEST ${id} has no RESPONSE and no row in open_request: nobody will close it`);
    }
    for (const id of rows) {
      report.invalid(
        'open requests',
        { event_id: id, stream: facts.stream, seq: null },
        `open_request has a row for ${show(id)}, which is no open REQUEST of this stream`,
      );
    }
  }
}
