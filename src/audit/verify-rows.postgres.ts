/**
 * What verify reads, a page at a time. Every statement is one snapshot; what may be concluded from several of them is argued in
 * verify.postgres.ts. Numbers travel as text, and pages go on after a whole key, so that no damage can make a page skip or repeat.
 */
import type { Tx } from '../ledger/database.postgres.js';
import { payloadSize, payloadsNamed, payloadsOf } from '../ledger/payload.postgres.js';
import type { EventFacts } from './verify.js';
import type { EventRow } from './verify-record.js';
import type { LeafRow, OrderedLeaf } from './verify-sequence.js';
import type { SessionFacts } from './verify-session.js';
import type { StreamFacts } from './verify-stream.js';

const STREAMS = 1000;
const EVENTS = 1000;
const LEAVES = 2000;
const SESSIONS = 500;
const STRAYS = 10;

export const LOWEST = '-9223372036854775808';

const micros = (column: string) => `(extract(epoch FROM ${column}) * 1000000)::float8`;

// Head, last event and open requests of a stream in one snapshot: one append changes them together.
const factsOf = (source: string) => `
SELECT s.stream, h.seq::text AS seq, h.head, h.base, (SELECT max(e.seq)::text FROM event e WHERE e.stream = s.stream) AS last,
       ARRAY(SELECT o.id FROM open_request o WHERE o.stream = s.stream ORDER BY o.id) AS open,
       (SELECT max(o.id)::text FROM erased x JOIN event o ON o.event_id = x.erasure WHERE x.stream = s.stream AND x.event = 0
           AND NOT EXISTS (SELECT 1 FROM erasure r WHERE r.event_id = x.erasure AND r.done_at IS NULL)) AS erased
  FROM ${source} s LEFT JOIN stream_head h ON h.stream = s.stream ORDER BY s.stream COLLATE "C"`;

// The streams of `event` by hopping over its index, united with those of `stream_head`: each may have what the other lacks.
const streamsBeyond = (than: '>' | '>=') => `
WITH RECURSIVE hop AS (
  (SELECT e.stream FROM event e WHERE e.stream ${than} $1 ORDER BY e.stream LIMIT 1)
  UNION ALL
  SELECT (SELECT e.stream FROM event e WHERE e.stream > hop.stream ORDER BY e.stream LIMIT 1) FROM hop WHERE hop.stream IS NOT NULL
),
both_sides AS (
  SELECT stream FROM (SELECT stream FROM hop WHERE stream IS NOT NULL LIMIT ${STREAMS}) e
  UNION
  SELECT stream FROM (SELECT stream FROM stream_head WHERE stream ${than} $1 ORDER BY stream LIMIT ${STREAMS}) h
),
page AS (SELECT stream FROM both_sides ORDER BY stream COLLATE "C" LIMIT ${STREAMS})
${factsOf('page')}`;

type FactsRow = Omit<StreamFacts, 'head'> & { readonly seq: string | null; readonly head: Buffer; readonly base: Buffer };

const facts = ({ stream, seq, head, base, last, open, erased }: FactsRow): StreamFacts => ({
  stream,
  last,
  head: seq === null ? null : { seq, head, base },
  open,
  erased,
});

/** The next streams in "C" order; null: from the first. Empty: no more. */
export async function streamsAfter(tx: Tx, stream: string | null): Promise<StreamFacts[]> {
  const [name, than] = stream === null ? (['verify_streams_first', '>='] as const) : (['verify_streams', '>'] as const);
  return (await tx.named<FactsRow>(name, streamsBeyond(than), [stream ?? ''])).map(facts);
}

export async function factsOfStream(tx: Tx, stream: string): Promise<StreamFacts> {
  return facts((await tx.named<FactsRow>('verify_stream', factsOf('(SELECT $1::text COLLATE "C" AS stream)'), [stream]))[0]!);
}

export async function countEvents(tx: Tx): Promise<number> {
  return (await tx.query<{ n: number }>('SELECT count(*) AS n FROM event'))[0]!.n;
}

export interface EventCursor {
  readonly stream: string;
  readonly seq: string;
  readonly id: string;
}

/** An event before its payload is read. */
export type SizedRow = EventRow & { readonly size: number };

const EVENT = `e.id::text AS id, e.event_id, e.stream, e.seq::text AS seq, e.type, e.time, e.task, e.cause, e.in_reply_to, e.from_agent, e.to_agent,
            e.capability, e.status, e.error_code, e.record, e.hash, ${payloadSize('e.id')}::float8 AS size`;

/** The next events up to the end of stream `upTo`, and where to go on; null: no more. */
export async function eventsAfter(tx: Tx, after: EventCursor, upTo: string): Promise<{ rows: SizedRow[]; next: EventCursor | null }> {
  const rows = await tx.named<SizedRow>(
    'verify_events',
    `SELECT ${EVENT}
       FROM event e WHERE (e.stream, e.seq, e.id) > ($1, $2::bigint, $3::bigint) AND e.stream <= $4 ORDER BY e.stream, e.seq, e.id LIMIT ${EVENTS}`,
    [after.stream, after.seq, after.id, upTo],
  );
  return { rows, next: rows.length < EVENTS ? null : rows.at(-1)! };
}

/** Bytes of payload held at once, twice: what is checked, and what is read ahead. A single event may have more. */
const HELD_BYTES = 4 * 1024 * 1024;
/** In parts of which each may be held with its payload. */
export function* inBounds(rows: readonly SizedRow[]): Generator<readonly SizedRow[]> {
  for (let start = 0; start < rows.length; ) {
    let end = start;
    for (let bytes = 0; end < rows.length && (end === start || bytes + rows[end]!.size <= HELD_BYTES); end++) bytes += rows[end]!.size;
    yield rows.slice(start, end);
    start = end;
  }
}

/** The events with everything that belongs to them. */
export async function completed(tx: Tx, rows: readonly EventRow[]): Promise<EventFacts[]> {
  const ids = rows.map((row) => row.id);
  const standings = await standingsOf(tx, ids);
  const payloads = await payloadsOf(tx, ids);
  return rows.map((row) => ({ row, payload: payloads.get(Number(row.id)) ?? [], standing: standings.get(row.id) ?? NOWHERE }));
}

/** The events at the places after `idx`, up to `to`, in the order of idx. */
export async function eventsPlaced(tx: Tx, idx: number, to: number): Promise<(SizedRow & { readonly idx: number })[]> {
  return tx.named(
    'verify_placed',
    `SELECT l.idx, ${EVENT} FROM leaf l JOIN event e ON e.id = l.event WHERE l.idx > $1 AND l.idx <= $2 ORDER BY l.idx LIMIT ${EVENTS}`,
    [idx, to],
  );
}

const NOWHERE = { leaves: [], pending: null };

// Leaf and pending in one snapshot: the sequencer moves an event from one to the other in one statement.
async function standingsOf(tx: Tx, ids: readonly string[]): Promise<Map<string, { leaves: LeafRow[]; pending: number | null }>> {
  const standings = new Map<string, { leaves: LeafRow[]; pending: number | null }>();
  if (ids.length === 0) return standings;
  const rows = await tx.named<LeafRow & { idx: string | null }>(
    'verify_standings',
    `SELECT l.event::text AS event, l.idx::text AS idx, l.hash, ${micros('l.sequenced_at')} AS at, l.digest FROM leaf l WHERE l.event = ANY($1::bigint[])
     UNION ALL
     SELECT p.id::text, NULL, NULL, ${micros('clock_timestamp()')}, NULL FROM pending p WHERE p.id = ANY($1::bigint[])`,
    [ids],
  );
  for (const row of rows) {
    const standing = standings.get(row.event) ?? { leaves: [], pending: null };
    standings.set(row.event, standing);
    if (row.idx === null) standing.pending = row.at;
    else standing.leaves.push(row);
  }
  return standings;
}

export async function stillPending(tx: Tx, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  return (await tx.query<{ id: string }>('SELECT id::text AS id FROM pending WHERE id = ANY($1::bigint[]) ORDER BY pending.id', [ids])).map(
    (row) => row.id,
  );
}

/** The sequencer's state and the last leaf, in one snapshot, and the time of it in microseconds. */
export async function orderNow(tx: Tx): Promise<{ sequencer: { size: string; at: number } | null; last: string | null; now: number }> {
  const [row] = await tx.query<{ size: string | null; at: number; last: string | null; now: number }>(
    `SELECT ${micros('clock_timestamp()')} AS now, s.size::text AS size, ${micros('s.sequenced_at')} AS at, (SELECT max(idx)::text FROM leaf) AS last FROM (SELECT 1) one LEFT JOIN sequencer s ON true`,
  );
  const { size, at, last, now } = row!;
  return { sequencer: size === null ? null : { size, at }, last, now };
}

export async function leavesAfter(
  tx: Tx,
  after: { idx: string; event: string },
  last: string,
): Promise<{ leaves: OrderedLeaf[]; next: OrderedLeaf | null }> {
  const leaves = await tx.named<OrderedLeaf>(
    'verify_leaves',
    `SELECT l.idx::text AS idx, l.event::text AS event, ${micros('l.sequenced_at')} AS at, l.hash, e.id IS NULL AS lost
       FROM (SELECT * FROM leaf WHERE (idx, event) > ($1::bigint, $2::bigint) AND idx <= $3::bigint ORDER BY idx, event LIMIT ${LEAVES}) l
            LEFT JOIN event e ON e.id = l.event ORDER BY l.idx, l.event`,
    [after.idx, after.event, last],
  );
  return { leaves, next: leaves.length < LEAVES ? null : leaves.at(-1)! };
}

/** Rows of `pending` and `open_request` that the walk over streams and events cannot meet. */
export async function strays(tx: Tx): Promise<{ pending: string[]; open: { id: string; stream: string }[] }> {
  const pending = await tx.query<{ id: string }>(
    `SELECT p.id::text AS id FROM pending p WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.id = p.id) ORDER BY p.id LIMIT ${STRAYS}`,
  );
  const open = await tx.query<{ id: string; stream: string }>(
    `SELECT o.id, o.stream FROM open_request o
      WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.stream = o.stream) AND NOT EXISTS (SELECT 1 FROM stream_head h WHERE h.stream = o.stream)
      ORDER BY o.id LIMIT ${STRAYS}`,
  );
  return { pending: pending.map((row) => row.id), open };
}

type SessionRow = { tenant: string; name: string; stream: string; earlier: string[] };

export async function sessionsAfter(
  tx: Tx,
  after: { tenant: string; name: string },
): Promise<{ sessions: SessionFacts[]; next: SessionFacts | null }> {
  const rows = await tx.named<SessionRow>(
    'verify_sessions',
    `SELECT tenant, name, stream, earlier FROM session WHERE (tenant, name) > ($1, $2) ORDER BY tenant, name LIMIT ${SESSIONS}`,
    [after.tenant, after.name],
  );
  const sessions = await withFirsts(tx, rows);
  return { sessions, next: sessions.length < SESSIONS ? null : sessions.at(-1)! };
}

export async function sessionNamed(tx: Tx, { tenant, name }: { tenant: string; name: string }): Promise<SessionFacts | null> {
  const rows = await tx.query<SessionRow>('SELECT tenant, name, stream, earlier FROM session WHERE tenant = $1 AND name = $2', [
    tenant,
    name,
  ]);
  return (await withFirsts(tx, rows))[0] ?? null;
}

async function withFirsts(tx: Tx, rows: readonly SessionRow[]): Promise<SessionFacts[]> {
  const streams = rows.flatMap((row) => [...row.earlier, row.stream]);
  const events = await tx.named<{ id: string; stream: string; event_id: string }>(
    'verify_first_events',
    'SELECT id::text AS id, stream, event_id FROM event WHERE seq = 1 AND stream = ANY($1::text[])',
    [streams],
  );
  const ids = events.map((event) => event.id);
  const payloads = await payloadsNamed(tx, ids, 'session');
  const firsts = new Map(events.map(({ id, stream, event_id }) => [stream, { id: event_id, payload: payloads.get(Number(id)) ?? [] }]));
  return rows.map(({ tenant, name, stream, earlier }) => ({
    tenant,
    name,
    streams: [...earlier, stream].map((one) => ({ stream: one, first: firsts.get(one) ?? null })),
  }));
}
