/** Reading events: the columns that repeat the record, and the record itself. */
import type { Tx } from './database.postgres.js';
import type { EventType } from './record.js';

export interface EventRow {
  /** Row id: order of commit attempts, with holes. Never shown to anybody; `seq` and `idx` are the places. */
  readonly id: number;
  readonly event_id: string;
  readonly stream: string;
  readonly seq: number;
  readonly type: EventType;
  readonly time: string;
  readonly task: string | null;
  readonly cause: string | null;
  readonly in_reply_to: string | null;
  readonly from_agent: string | null;
  readonly to_agent: string | null;
  readonly capability: string | null;
  readonly status: 'pending' | 'completed' | 'failed' | 'cancelled' | null;
  readonly error_code: string | null;
  readonly record: Buffer;
  readonly hash: Buffer;
}

export interface SequencedEvent extends EventRow {
  readonly idx: number;
  readonly sequenced_at: Date;
}

export const EVENT_COLUMNS =
  'e.id, e.event_id, e.stream, e.seq, e.type, e.time, e.task, e.cause, e.in_reply_to, e.from_agent, e.to_agent, e.capability, e.status, e.error_code, e.record, e.hash';

/** What can be counted of a sequenced event. Reading a whole event costs several times as much, and the views read every one. */
export type SequencedColumns = Pick<
  SequencedEvent,
  'idx' | 'stream' | 'seq' | 'type' | 'from_agent' | 'to_agent' | 'capability' | 'status'
>;

export async function columnsAfter(tx: Tx, idx: number, limit: number): Promise<SequencedColumns[]> {
  return tx.named(
    'columns_after',
    `SELECT l.idx, e.* FROM leaf l CROSS JOIN LATERAL (
       SELECT stream, seq, type, from_agent, to_agent, capability, status FROM event WHERE id = l.event OFFSET 0) e
      WHERE l.idx > $1 ORDER BY l.idx LIMIT $2`,
    [idx, limit],
  );
}

/** The sequenced ledger after `idx`, in its order. */
export async function sequencedAfter(tx: Tx, idx: number, limit: number): Promise<SequencedEvent[]> {
  return tx.named(
    'sequenced_after',
    `SELECT e.*, l.idx, l.sequenced_at FROM leaf l CROSS JOIN LATERAL (SELECT ${EVENT_COLUMNS} FROM event e WHERE e.id = l.event OFFSET 0) e
      WHERE l.idx > $1 ORDER BY l.idx LIMIT $2`,
    [idx, limit],
  );
}

/** One stream's part of the sequenced ledger, from `from` to `to` inclusive. */
export async function sequencedOfStream(
  tx: Tx,
  stream: string,
  range: { from: number; to: number; limit: number },
): Promise<SequencedEvent[]> {
  return tx.named(
    'sequenced_of_stream',
    `SELECT ${EVENT_COLUMNS}, l.idx, l.sequenced_at FROM event e
       CROSS JOIN LATERAL (SELECT f.idx, f.sequenced_at FROM leaf f WHERE f.event = e.id OFFSET 0) l
      WHERE e.stream = $1 AND l.idx BETWEEN $2 AND $3 ORDER BY e.seq LIMIT $4`,
    [stream, range.from, range.to, range.limit],
  );
}

/** The bytes of the records at these places of the global order, `to` exclusive. */
export async function recordsAt(tx: Tx, from: number, to: number): Promise<Buffer[]> {
  const rows = await tx.named<{ record: Buffer }>(
    'records_at',
    'SELECT (SELECT e.record FROM event e WHERE e.id = l.event) AS record FROM leaf l WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx',
    [from, to],
  );
  return rows.map(({ record }) => record);
}

/** An event with its place in the global order, or null while it has none. */
export interface PlacedEvent extends EventRow {
  readonly idx: number | null;
}

/** A stream's events after `seq`, sequenced or not. */
export async function placedOfStream(tx: Tx, stream: string, seq: number, limit: number): Promise<PlacedEvent[]> {
  return tx.named(
    'placed_of_stream',
    `SELECT ${EVENT_COLUMNS}, (SELECT l.idx FROM leaf l WHERE l.event = e.id) AS idx FROM event e
      WHERE e.stream = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3`,
    [stream, seq, limit],
  );
}

export async function eventById(tx: Tx, eventId: string): Promise<EventRow | undefined> {
  return (await tx.named<EventRow>('event_by_id', `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.event_id = $1`, [eventId]))[0];
}
