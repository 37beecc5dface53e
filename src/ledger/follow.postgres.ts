/** Cursors and leases of the followers. */
import type { Tx } from './database.postgres.js';
import { DUE } from './park.postgres.js';

/** A new follower begins with the first event, or with the next one. Returns its cursor if it is new. */
export async function enrol(tx: Tx, name: string, begin: 'first' | 'next' = 'first'): Promise<number | undefined> {
  const rows = await tx.query<{ cursor: number }>(
    `INSERT INTO follower (name, cursor) SELECT $1, CASE WHEN $2 THEN size - 1 ELSE -1 END FROM sequencer ON CONFLICT (name) DO NOTHING
     RETURNING cursor`,
    [name, begin === 'next'],
  );
  return rows[0]?.cursor;
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

export interface LeaseTerms {
  readonly owner: string;
  readonly seconds: number;
  /** Nobody else can be alive, as with the embedded database: a lease of another owner is a dead one's. */
  readonly alone?: boolean;
}

/** Takes the lease if there is something to do and it is free, over or already ours. Writes nothing otherwise: idle followers ask every second. */
export async function takeLease(tx: Tx, name: string, { owner, seconds, alone = false }: LeaseTerms): Promise<Lease | undefined> {
  const rows = await tx.named<Lease>(
    'take_lease',
    `UPDATE follower f SET owner = $2, until = clock_timestamp() + make_interval(secs => $3), token = token + 1
      WHERE f.name = $1 AND (f.owner IS NULL OR f.owner = $2 OR f.until < clock_timestamp() OR $4)
        AND (f.cursor < (SELECT size - 1 FROM sequencer) OR EXISTS (SELECT 1 FROM parked p WHERE p.follower = $1 AND ${DUE}))
      RETURNING cursor, token`,
    [name, owner, seconds, alone],
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

export interface FollowerRow {
  readonly name: string;
  readonly cursor: number;
  /** Sequenced events not handled yet. */
  readonly lag: number;
  /** Age of the oldest of them, 0 if there is none. */
  readonly lag_seconds: number;
  /** Streams that wait for somebody. */
  readonly parked: number;
  /** Streams that are tried again by themselves. */
  readonly retrying: number;
  readonly error: string | null;
}

export async function followers(tx: Tx): Promise<FollowerRow[]> {
  return tx.query(
    `SELECT f.name, f.cursor, (s.size - 1 - f.cursor)::bigint AS lag,
            coalesce((SELECT extract(epoch FROM clock_timestamp() - l.sequenced_at) FROM leaf l WHERE l.idx = f.cursor + 1), 0)::float8 AS lag_seconds,
            (SELECT count(*) FROM parked p WHERE p.follower = f.name AND p.retry_at IS NULL AND NOT p.due) AS parked,
            (SELECT count(*) FROM parked p WHERE p.follower = f.name AND (p.retry_at IS NOT NULL OR p.due)) AS retrying, f.error
       FROM follower f CROSS JOIN sequencer s ORDER BY f.name`,
  );
}
