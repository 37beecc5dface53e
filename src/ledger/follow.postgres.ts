/** Cursors, leases and parked streams of the followers. */
import type { Tx } from './database.postgres.js';

export async function enrol(tx: Tx, name: string): Promise<void> {
  await tx.query('INSERT INTO follower (name, cursor) VALUES ($1, -1) ON CONFLICT (name) DO NOTHING', [name]);
}

/** The cursor, locked for this transaction; undefined while another replica has it. */
export async function lockCursor(tx: Tx, name: string): Promise<number | undefined> {
  const rows = await tx.named<{ cursor: number }>('lock_cursor', 'SELECT cursor FROM follower WHERE name = $1 FOR UPDATE SKIP LOCKED', [
    name,
  ]);
  return rows[0]?.cursor;
}

export async function moveCursor(tx: Tx, name: string, cursor: number): Promise<void> {
  await tx.named('move_cursor', 'UPDATE follower SET cursor = $2, error = NULL WHERE name = $1', [name, cursor]);
}

export async function noteError(tx: Tx, name: string, error: string): Promise<void> {
  await tx.named('note_error', 'UPDATE follower SET error = $2 WHERE name = $1', [name, error.slice(0, 1000)]);
}

export interface Lease {
  readonly cursor: number;
  /** Changes hands with the lease: whoever still holds an older one can move nothing. */
  readonly token: number;
}

/** Takes the lease if it is free, over or already ours. */
export async function takeLease(tx: Tx, name: string, owner: string, seconds: number): Promise<Lease | undefined> {
  const rows = await tx.named<Lease>(
    'take_lease',
    `UPDATE follower SET owner = $2, until = clock_timestamp() + make_interval(secs => $3), token = token + 1
      WHERE name = $1 AND (owner IS NULL OR owner = $2 OR until < clock_timestamp()) RETURNING cursor, token`,
    [name, owner, seconds],
  );
  return rows[0];
}

/** False: the lease was lost. */
export async function renewLease(tx: Tx, name: string, token: number, seconds: number): Promise<boolean> {
  const rows = await tx.named(
    'renew_lease',
    'UPDATE follower SET until = clock_timestamp() + make_interval(secs => $3) WHERE name = $1 AND token = $2 RETURNING 1',
    [name, token, seconds],
  );
  return rows.length > 0;
}

export async function moveLeasedCursor(tx: Tx, name: string, lease: Lease): Promise<boolean> {
  const rows = await tx.named(
    'move_leased_cursor',
    'UPDATE follower SET cursor = $3, error = NULL WHERE name = $1 AND token = $2 RETURNING 1',
    [name, lease.token, lease.cursor],
  );
  return rows.length > 0;
}

export async function releaseLease(tx: Tx, name: string, token: number): Promise<void> {
  await tx.named('release_lease', 'UPDATE follower SET owner = NULL, until = NULL WHERE name = $1 AND token = $2', [name, token]);
}

export interface Parked {
  readonly stream: string;
  readonly from_idx: number;
  readonly since: Date;
  readonly error: string;
  /** Somebody asked for another try. */
  readonly due: boolean;
}

export async function parkedStreams(tx: Tx, name: string): Promise<Parked[]> {
  return tx.named('parked_streams', 'SELECT stream, from_idx, since, error, due FROM parked WHERE follower = $1 ORDER BY from_idx', [name]);
}

export async function park(tx: Tx, name: string, poisoned: Poisoned): Promise<void> {
  await tx.named(
    'park',
    `INSERT INTO parked (follower, stream, from_idx, error) VALUES ($1, $2, $3, $4)
     ON CONFLICT (follower, stream) DO UPDATE SET from_idx = excluded.from_idx, error = excluded.error, due = false`,
    [name, poisoned.stream, poisoned.idx, poisoned.error.slice(0, 1000)],
  );
}

/** The event that could not be handled; it and what follows it in its stream wait. */
export interface Poisoned {
  readonly stream: string;
  readonly idx: number;
  readonly error: string;
}

/** Has parked streams tried again by whichever replica follows: all of them, or one. */
export async function askForRetry(tx: Tx, name: string, stream?: string): Promise<void> {
  await tx.query('UPDATE parked SET due = true WHERE follower = $1 AND ($2::text IS NULL OR stream = $2)', [name, stream ?? null]);
}

export async function unpark(tx: Tx, name: string, stream: string): Promise<void> {
  await tx.named('unpark', 'DELETE FROM parked WHERE follower = $1 AND stream = $2', [name, stream]);
}

export interface FollowerRow {
  readonly name: string;
  readonly cursor: number;
  /** Sequenced events not handled yet. */
  readonly lag: number;
  /** Age of the oldest of them, 0 if there is none. */
  readonly lag_seconds: number;
  readonly parked: number;
  readonly error: string | null;
}

export async function followers(tx: Tx): Promise<FollowerRow[]> {
  return tx.query(
    `SELECT f.name, f.cursor, (s.size - 1 - f.cursor)::bigint AS lag,
            coalesce((SELECT extract(epoch FROM clock_timestamp() - l.sequenced_at) FROM leaf l WHERE l.idx = f.cursor + 1), 0)::float8 AS lag_seconds,
            (SELECT count(*) FROM parked p WHERE p.follower = f.name) AS parked, f.error
       FROM follower f CROSS JOIN sequencer s ORDER BY f.name`,
  );
}
