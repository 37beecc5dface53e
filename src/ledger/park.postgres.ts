/**
 * Parked streams: an event of theirs could not be handled, so it and what follows it in its stream waits between `from_idx` and the
 * follower's cursor, while the others go on. What is to be sent again is parked too, and due at once.
 */
import type { Tx } from './database.postgres.js';

/** SQL over `parked p`: to be tried now. */
export const DUE = '(p.due OR coalesce(p.retry_at <= clock_timestamp(), false))';

export interface Parked {
  readonly stream: string;
  readonly from_idx: number;
  readonly since: Date;
  readonly error: string;
  /** How often the event at `from_idx` was tried. */
  readonly tries: number;
  /** When it is tried again by itself; null: when somebody asks. */
  readonly retry_at: Date | null;
  /** Somebody asked for another try, or its time has come. */
  readonly due: boolean;
}

const PARKED = `SELECT p.stream, p.from_idx, p.since, p.error, p.tries, p.retry_at, ${DUE} AS due FROM parked p WHERE p.follower = $1`;

export async function parkedStreams(tx: Tx, name: string): Promise<Parked[]> {
  return tx.named('parked_streams', `${PARKED} ORDER BY p.from_idx`, [name]);
}

/** The ones to be tried now, those that wait longest first. */
export async function dueStreams(tx: Tx, name: string, limit: number): Promise<Parked[]> {
  return tx.named('due_streams', `${PARKED} AND ${DUE} ORDER BY p.from_idx LIMIT $2`, [name, limit]);
}

/** Which of these streams are parked. */
export async function parkedAmong(tx: Tx, name: string, streams: readonly string[]): Promise<Set<string>> {
  const rows = await tx.named<{ stream: string }>(
    'parked_among',
    'SELECT stream FROM parked WHERE follower = $1 AND stream = ANY($2::text[])',
    [name, streams],
  );
  return new Set(rows.map((row) => row.stream));
}

export async function park(tx: Tx, name: string, poisoned: Poisoned): Promise<void> {
  const { stream, idx, error, tries = 1, retrySeconds = null } = poisoned;
  await tx.named(
    'park',
    `INSERT INTO parked (follower, stream, from_idx, error, tries, retry_at)
     VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))
     ON CONFLICT (follower, stream) DO UPDATE SET from_idx = excluded.from_idx, error = excluded.error, tries = excluded.tries,
       retry_at = excluded.retry_at, due = false`,
    [name, stream, idx, error.slice(0, 1000), tries, retrySeconds],
  );
}

/** The event that could not be handled; it and what follows it in its stream wait. */
export interface Poisoned {
  readonly stream: string;
  readonly idx: number;
  readonly error: string;
  readonly tries?: number;
  /** Absent: only when somebody asks. */
  readonly retrySeconds?: number | null;
}

/** What a due stream has left begins at `idx`; it stays due. */
export async function shortenParked(tx: Tx, name: string, stream: string, idx: number): Promise<void> {
  await tx.named('shorten_parked', 'UPDATE parked SET from_idx = $3, tries = 0, due = true WHERE follower = $1 AND stream = $2', [
    name,
    stream,
    idx,
  ]);
}

/** Has parked streams tried again by whichever replica follows: all of them, or one. Returns how many. */
export async function askForRetry(tx: Tx, name: string, stream?: string): Promise<number> {
  const rows = await tx.query(
    'UPDATE parked SET due = true, tries = 0 WHERE follower = $1 AND ($2::text IS NULL OR stream = $2) RETURNING 1',
    [name, stream ?? null],
  );
  return rows.length;
}

/**
 * Has a stream delivered again from its first event up to the cursor: it is parked there, and due. The token moves on, so that whoever
 * forwards right now remembers nothing of what he has sent already. Returns how many events that are.
 */
export async function replayStream(tx: Tx, name: string, stream: string): Promise<number> {
  const [row] = await tx.query<{ cursor: number }>('UPDATE follower SET token = token + 1 WHERE name = $1 RETURNING cursor', [name]);
  if (!row) return 0;
  await tx.query(
    `INSERT INTO parked (follower, stream, from_idx, error, tries, due) VALUES ($1, $2, 0, 'to be sent again', 0, true)
     ON CONFLICT (follower, stream) DO UPDATE SET from_idx = 0, tries = 0, due = true`,
    [name, stream],
  );
  const [events] = await tx.query<{ n: number }>(
    'SELECT count(*) AS n FROM event e JOIN leaf l ON l.event = e.id WHERE e.stream = $1 AND l.idx <= $2',
    [stream, row.cursor],
  );
  return events!.n;
}

/** Puts the cursor back to `idx`: everything from there on is delivered again. Returns the cursor that was. Takes the lease from whoever has it. */
export async function replayFrom(tx: Tx, name: string, idx: number): Promise<number | undefined> {
  const [row] = await tx.query<{ cursor: number }>('SELECT cursor FROM follower WHERE name = $1 FOR UPDATE', [name]);
  if (!row) return undefined;
  await tx.query('UPDATE parked SET from_idx = $2, tries = 0, due = true WHERE follower = $1 AND from_idx > $2', [name, idx]);
  await tx.query('UPDATE follower SET cursor = least(cursor, $2::bigint - 1), token = token + 1 WHERE name = $1', [name, idx]);
  return row.cursor;
}

export async function unpark(tx: Tx, name: string, stream: string): Promise<void> {
  await tx.named('unpark', 'DELETE FROM parked WHERE follower = $1 AND stream = $2', [name, stream]);
}
