/**
 * Carries out what payload.erased events order. The order of steps makes a crash harmless anywhere: the note of the work comes first, then the
 * event, then the deletions, then the note that they are done. Without the event nothing is deleted; with it somebody finishes: the caller,
 * or whoever finds the open note (at the latest the next start). Everything here can be done again.
 */
import type { Database, Tx } from './database.postgres.js';
import { type ErasureOrder, readOrder } from './erasure.js';
import { destroyKeys } from './keys.postgres.js';
import { eraseEvents, eraseNamed, eraseStream } from './payload.postgres.js';
import { type EventRow, eventById } from './read.postgres.js';

/** Before the events with these ids are appended. `session`: the name that will be erased, where somebody must be told who knows no other. */
export async function noteErasures(tx: Tx, ids: readonly string[], of: { tenant: string; session: string | null }): Promise<void> {
  await tx.query('INSERT INTO erasure (event_id, tenant, session) SELECT id, $2, $3 FROM unnest($1::text[]) id', [
    ids,
    of.tenant,
    of.session,
  ]);
}

/** They were not recorded, and never will be. */
export async function dropNotes(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.query('DELETE FROM erasure WHERE event_id = ANY($1::text[])', [ids]);
}

export async function markDone(tx: Tx, id: string): Promise<void> {
  await tx.query('UPDATE erasure SET done_at = clock_timestamp() WHERE event_id = $1', [id]);
}

/** One whose note is not here any more is done. */
export async function isDone(tx: Tx, id: string): Promise<boolean> {
  return (await tx.query('SELECT 1 FROM erasure WHERE event_id = $1 AND done_at IS NULL', [id])).length === 0;
}

/** Long after any appender has given up, and any process has looked what was done. */
const LOST_SECONDS = 600;

/** What nobody has finished for so many seconds, oldest first. Notes whose event never came are dropped, and those that nobody needs any more. */
export async function unfinished(db: Database, seconds: number, tenant?: string): Promise<string[]> {
  await db.query(
    `DELETE FROM erasure r WHERE asked_at < clock_timestamp() - make_interval(secs => ${LOST_SECONDS})
        AND CASE WHEN done_at IS NULL THEN NOT EXISTS (SELECT 1 FROM event e WHERE e.event_id = r.event_id)
            ELSE session IS NULL AND done_at < clock_timestamp() - make_interval(secs => ${LOST_SECONDS}) END`,
  );
  const rows = await db.query<{ event_id: string }>(
    `SELECT r.event_id FROM erasure r JOIN event e ON e.event_id = r.event_id
      WHERE r.done_at IS NULL AND r.asked_at <= clock_timestamp() - make_interval(secs => $1) AND ($2::text IS NULL OR r.tenant = $2)
      ORDER BY e.id`,
    [seconds, tenant ?? null],
  );
  return rows.map((row) => row.event_id);
}

/** Streams that were erased as a whole in so many seconds. */
export async function erasedLately(tx: Tx, seconds: number): Promise<string[]> {
  const rows = await tx.query<{ stream: string }>(
    `SELECT x.stream FROM erasure r JOIN erased x ON x.erasure = r.event_id AND x.event = 0
      WHERE r.done_at > clock_timestamp() - make_interval(secs => $1)`,
    [seconds],
  );
  return rows.map((row) => row.stream);
}

/** The name by which a peer knows an erased session is needed until these followers have told theirs. */
export async function sessionToTell(tx: Tx, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await tx.query<{ event_id: string; session: string }>(
    'SELECT event_id, session FROM erasure WHERE event_id = ANY($1::text[]) AND session IS NOT NULL',
    [ids],
  );
  return new Map(rows.map((row) => [row.event_id, row.session]));
}

export async function forgetTold(tx: Tx, followers: readonly string[]): Promise<void> {
  await tx.query(
    `UPDATE erasure r SET session = NULL FROM event e JOIN leaf l ON l.event = e.id
      WHERE r.session IS NOT NULL AND r.done_at IS NOT NULL AND e.event_id = r.event_id AND NOT EXISTS (
        SELECT 1 FROM unnest($1::text[]) peer LEFT JOIN follower f ON f.name = peer
         WHERE f.cursor IS NULL OR f.cursor < l.idx
            OR EXISTS (SELECT 1 FROM parked p WHERE p.follower = peer AND p.stream = e.stream AND p.from_idx <= l.idx))`,
    [followers],
  );
}

/** How often something of these streams has been erased. */
export async function countErasures(tx: Tx, streams: readonly string[]): Promise<number> {
  const [row] = await tx.query<{ n: number }>('SELECT count(*) AS n FROM erased WHERE stream = ANY($1::text[])', [streams]);
  return row!.n;
}

export interface CarriedOut {
  readonly event: EventRow;
  readonly order: ErasureOrder;
  /** All streams of the session it is about, oldest first. */
  readonly streams: readonly string[];
}

const PAGE = 500;

/** Deletes what the event with this id orders to be deleted; undefined: there is no such event. */
export async function carryOut(db: Database, id: string): Promise<CarriedOut | undefined> {
  const event = await eventById(db, id);
  const order = event && readOrder(event.record);
  if (!order) return undefined;
  const streams = await db.transaction(async (tx) => {
    // Until this commits nothing is appended to the session, and afterwards nothing that was made of what goes. Locked in the order of an append: its
    // name, its streams.
    const own = await streamsOf(tx, order);
    await tx.query('SELECT 1 FROM stream_head WHERE stream = ANY($1::text[]) ORDER BY stream FOR UPDATE', [own]);
    await noteErased(tx, id, order);
    await forgetRequests(tx, order);
    if (order.events.length > 0) await eraseEvents(tx, order.events);
    if (order.disclosures.length > 0) await eraseNamed(tx, order.disclosures);
    if (order.streams.length > 0) {
      await destroyKeys(tx, order.streams);
      await tx.query('DELETE FROM session WHERE stream = ANY($1::text[])', [order.streams]);
    }
    return own;
  });
  for (const stream of order.streams) await eraseAll(db, stream);
  return { event, order, streams };
}

/** Page by page: nobody waits long for the locks of a large session. Without its key it is unreadable already, unless it was never sealed. */
async function eraseAll(db: Database, stream: string): Promise<void> {
  const [head] = await db.query<{ seq: number }>('SELECT seq FROM stream_head WHERE stream = $1', [stream]);
  for (let from = 1; from <= (head?.seq ?? 0); from += PAGE) await eraseStream(db, stream, { from, to: from + PAGE - 1 });
}

async function streamsOf(tx: Tx, { streams, events, disclosures }: ErasureOrder): Promise<string[]> {
  const named = await tx.query<{ stream: string }>('SELECT DISTINCT stream FROM event WHERE event_id = ANY($1::text[])', [
    [...events, ...disclosures.map(({ event }) => event)],
  ]);
  const own = [...new Set([...streams, ...named.map((row) => row.stream)])];
  const [session] = await tx.query<{ streams: string[] }>(
    'SELECT earlier || stream AS streams FROM session WHERE stream = ANY($1::text[]) OR earlier && $1::text[] FOR UPDATE',
    [own],
  );
  return session?.streams ?? own;
}

/** What is looked up by whoever shows an event, and counted by whoever makes something of several. */
async function noteErased(tx: Tx, id: string, { streams, events, disclosures }: ErasureOrder): Promise<void> {
  await tx.query(
    `INSERT INTO erased (stream, event, erasure) SELECT stream, id, $3 FROM event WHERE event_id = ANY($1::text[])
     UNION ALL SELECT stream, 0, $3 FROM unnest($2::text[]) stream ON CONFLICT DO NOTHING`,
    [[...new Set([...events, ...disclosures.map(({ event }) => event)])], streams, id],
  );
}

/** An Idempotency-Key stays used; what its request was can no longer be guessed at. */
async function forgetRequests(tx: Tx, { streams, events, disclosures }: ErasureOrder): Promise<void> {
  await tx.query(
    `UPDATE idempotency SET salt = '', body = '' WHERE request IN (
       SELECT coalesce(in_reply_to, event_id) FROM event WHERE event_id = ANY($1::text[])
       UNION SELECT event_id FROM event WHERE stream = ANY($2::text[]) AND type = 'contract.request')`,
    [[...events, ...disclosures.map(({ event }) => event)], streams],
  );
}
