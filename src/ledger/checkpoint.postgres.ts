/** What was signed, by origin. The row of `log` decides who of several signers was first. */
import type { Tx } from './database.postgres.js';

/** A log in force: its origin, and the last checkpoint signed under it. */
export interface LogRow {
  readonly epoch: number;
  readonly origin: string;
  readonly first_idx: number;
  readonly size: number;
  readonly root: Buffer | null;
  /** Since that checkpoint, in milliseconds; null before the first. */
  readonly age: number | null;
}

export interface LogState {
  readonly log: LogRow | null;
  /** Leaves there are. */
  readonly end: number;
}

export async function logState(tx: Tx): Promise<LogState> {
  const [row] = await tx.named<Omit<LogRow, 'epoch'> & { epoch: number | null; end: number }>(
    'log_state',
    `SELECT s.size AS "end", l.epoch, l.origin, l.first_idx, l.size, l.root, extract(epoch FROM clock_timestamp() - l.signed_at)::float8 * 1000 AS age
       FROM sequencer s LEFT JOIN LATERAL (SELECT * FROM log ORDER BY epoch DESC LIMIT 1) l ON true`,
    [],
  );
  const { end, epoch, ...log } = row!;
  return { log: epoch === null ? null : { epoch, ...log }, end };
}

/** False: somebody else has begun this epoch. */
export async function beginLog(tx: Tx, { epoch, origin, first_idx }: Pick<LogRow, 'epoch' | 'origin' | 'first_idx'>): Promise<boolean> {
  const begun = await tx.query(`INSERT INTO log (epoch, origin, first_idx) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1`, [
    epoch,
    origin,
    first_idx,
  ]);
  return begun.length > 0;
}

/** False: somebody else has signed since `before` was read. Then this signature goes nowhere. */
export async function publish(
  tx: Tx,
  before: LogRow,
  { size, root, note }: { size: number; root: Buffer; note: string },
): Promise<boolean> {
  const published = await tx.named(
    'publish_checkpoint',
    `WITH signed AS (
       UPDATE log SET size = $4, root = $5, signed_at = clock_timestamp()
        WHERE epoch = $1 AND size = $2 AND root IS NOT DISTINCT FROM $3 AND NOT EXISTS (SELECT 1 FROM log l WHERE l.epoch > $1) RETURNING origin, signed_at)
     INSERT INTO checkpoint (origin, size, root, note, signed_at) SELECT origin, $4, $5, $6, signed_at FROM signed RETURNING 1`,
    [before.epoch, before.size, before.root, size, root, note],
  );
  return published.length > 0;
}

export interface PublishedCheckpoint {
  readonly origin: string;
  readonly first_idx: number;
  readonly size: number;
  readonly root: Buffer;
  /** As it was signed. */
  readonly note: string;
  /** Signature lines of witnesses, which go below it. */
  readonly cosignatures: string;
  readonly signed_at: Date;
}

const PUBLISHED = `SELECT c.origin, l.first_idx, c.size, c.root, c.note, c.cosignatures, c.signed_at
  FROM (SELECT * FROM log ORDER BY epoch DESC LIMIT 1) l`;

/** The newest checkpoint of the log in force. */
export async function newestCheckpoint(tx: Tx): Promise<PublishedCheckpoint | null> {
  const sql = `${PUBLISHED} JOIN checkpoint c ON c.origin = l.origin AND c.size = l.size`;
  return (await tx.named<PublishedCheckpoint>('newest_checkpoint', sql, []))[0] ?? null;
}

/** The newest that a witness has cosigned. */
export async function witnessedCheckpoint(tx: Tx): Promise<PublishedCheckpoint | null> {
  const sql = `${PUBLISHED} JOIN checkpoint c ON c.origin = l.origin WHERE c.cosignatures <> '' ORDER BY c.size DESC LIMIT 1`;
  return (await tx.named<PublishedCheckpoint>('witnessed_checkpoint', sql, []))[0] ?? null;
}

/** Where an event stands, and the size of a published tree that has it. */
export interface PublishedEvent {
  readonly index: number;
  readonly tree_size: number;
}

export async function publishedEvent(tx: Tx, { stream, seq }: { stream: string; seq: number }): Promise<PublishedEvent | null> {
  const rows = await tx.named<PublishedEvent>(
    'published_event',
    `SELECT l.idx AS index, g.size AS tree_size FROM event e CROSS JOIN LATERAL (SELECT idx FROM leaf WHERE event = e.id OFFSET 0) l
       CROSS JOIN LATERAL (SELECT size FROM log ORDER BY epoch DESC LIMIT 1) g WHERE e.stream = $1 AND e.seq = $2 AND l.idx < g.size`,
    [stream, seq],
  );
  return rows[0] ?? null;
}

/** The note that was signed under `origin` at `size`. */
export async function noteAt(tx: Tx, origin: string, size: number): Promise<string | null> {
  const rows = await tx.query<{ note: string }>('SELECT note FROM checkpoint WHERE origin = $1 AND size = $2', [origin, size]);
  return rows[0]?.note ?? null;
}

/** Thins out what is older than an hour. */
export async function forgetCheckpoints(tx: Tx): Promise<number> {
  const gone = await tx.query(
    `DELETE FROM checkpoint c WHERE c.signed_at < date_trunc('hour', clock_timestamp()) - interval '1 hour' AND c.cosignatures = ''
        AND EXISTS (SELECT 1 FROM checkpoint n WHERE n.origin = c.origin AND n.size > c.size
                       AND date_trunc('hour', n.signed_at) = date_trunc('hour', c.signed_at)) RETURNING 1`,
  );
  return gone.length;
}

export interface LogKeyRow {
  readonly origin: string;
  readonly vkey: string;
  readonly first_size: number;
}

/** Every key that ever signed, in the order in which they came. */
export async function logKeys(tx: Tx): Promise<LogKeyRow[]> {
  return tx.query(`SELECT k.origin, k.vkey, k.first_size FROM log_key k JOIN log l USING (origin) ORDER BY l.epoch, k.first_size, k.vkey`);
}

export async function noteLogKeys(tx: Tx, keys: readonly LogKeyRow[]): Promise<void> {
  for (const { origin, vkey, first_size } of keys)
    await tx.query(`INSERT INTO log_key (origin, vkey, first_size) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, [origin, vkey, first_size]);
}

/** All logs of this ledger, oldest first. */
export async function logs(tx: Tx): Promise<Pick<LogRow, 'epoch' | 'origin' | 'first_idx' | 'size'>[]> {
  return tx.query('SELECT epoch, origin, first_idx, size FROM log ORDER BY epoch');
}
