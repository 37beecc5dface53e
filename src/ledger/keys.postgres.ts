/** The table `payload_key`: the wrapped data keys of the streams, and which master keys wrap them. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Database, Tx } from './database.postgres.js';
import type { StreamKeyId } from './erasure.js';
import type { WrappedKey } from './keys.system.js';

/** Part of the append statement: rows `f(key_id, stream, master, wrapped)` of streams that were won. */
export const insertKeys = (rows: string) => `
fresh_key AS (
  INSERT INTO payload_key (key_id, stream, master, wrapped)
  SELECT f.key_id, f.stream, f.master, f.wrapped FROM ${rows} JOIN won ON won.stream = f.stream
)`;

export async function keysById(tx: Tx, ids: readonly string[]): Promise<WrappedKey[]> {
  return tx.named('keys_by_id', 'SELECT key_id, master, wrapped FROM payload_key WHERE key_id = ANY($1::text[])', [ids]);
}

/** What these streams were sealed with can never be read again from this database. Returns the ids of the keys that were destroyed now. */
export async function destroyKeys(tx: Tx, streams: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ key_id: string }>(
    `UPDATE payload_key SET wrapped = NULL, destroyed_at = clock_timestamp() WHERE stream = ANY($1::text[]) AND wrapped IS NOT NULL RETURNING key_id`,
    [streams],
  );
  const ids = rows.map((row) => row.key_id);
  tx.keys.forget(ids);
  return ids;
}

export async function keysOfStreams(tx: Tx, streams: readonly string[]): Promise<StreamKeyId[]> {
  return tx.query('SELECT stream, key_id FROM payload_key WHERE stream = ANY($1::text[]) AND wrapped IS NOT NULL ORDER BY key_id', [
    streams,
  ]);
}

/**
 * Notes the wrapping master key, and refuses to go on with a ledger that was sealed under one we do not hold: what would be written could be
 * read by nobody who can read the rest. Of two processes that begin the same ledger with different keys the second is refused.
 */
export async function claimMasterKey(db: Database, from: string): Promise<void> {
  const { held } = db.keys;
  await db.transaction(async (tx) => {
    await tx.query('LOCK TABLE master_key IN SHARE ROW EXCLUSIVE MODE');
    const known = await masterKeys(tx);
    const missing = known.filter((id) => !held.includes(id));
    if (missing.length > 0) {
      const has = held.length > 0 ? `${from} has ${held.join(', ')}` : `there is none (${from})`;
      throw new OrchestratorError(
        'bad_configuration',
        `this ledger's payload is sealed under the master key ${missing.join(', ')}, but ${has}; set MASTER_KEY or MASTER_KEY_FILE to the right one`,
      );
    }
    if (held[0] !== undefined) await tx.query('INSERT INTO master_key (id) VALUES ($1) ON CONFLICT (id) DO NOTHING', [held[0]]);
  });
}

/** Fingerprints, oldest first. */
export async function masterKeys(tx: Tx): Promise<string[]> {
  return (await tx.query<{ id: string }>('SELECT id FROM master_key ORDER BY since, id')).map((row) => row.id);
}

const PAGE = 1000;

/** Wraps every data key anew that another master key wraps, page by page; can be broken off and done again. Returns how many. */
export async function rewrapKeys(db: Database): Promise<number> {
  const [current] = db.keys.held;
  let done = 0;
  for (let after = ''; ; ) {
    const rows = await db.query<WrappedKey>(
      `SELECT key_id, master, wrapped FROM payload_key WHERE key_id > $1 AND master <> $2 AND wrapped IS NOT NULL ORDER BY key_id LIMIT ${PAGE}`,
      [after, current],
    );
    if (rows.length === 0) return done;
    const fresh = rows.map((row) => {
      const wrapped = db.keys.rewrap(row);
      if (typeof wrapped !== 'string') return wrapped;
      throw new OrchestratorError('internal', `data key ${row.key_id}, wrapped by master key ${row.master}, cannot be opened: ${wrapped}`);
    });
    await db.query(
      `UPDATE payload_key k SET master = $1, wrapped = n.wrapped FROM unnest($2::text[], $3::bytea[]) n(key_id, wrapped)
        WHERE k.key_id = n.key_id AND k.wrapped IS NOT NULL`,
      [current, rows.map((row) => row.key_id), fresh.map((key) => key.wrapped)],
    );
    done += rows.length;
    after = rows.at(-1)!.key_id;
  }
}

/** Master keys that wrap nothing any more need not be held. Returns those that still wrap something. */
export async function releaseMasterKeys(db: Database): Promise<string[]> {
  const [current] = db.keys.held;
  await db.query(
    `DELETE FROM master_key m WHERE m.id <> $1 AND NOT EXISTS (SELECT 1 FROM payload_key k WHERE k.master = m.id AND k.wrapped IS NOT NULL)`,
    [current],
  );
  return (await masterKeys(db)).filter((id) => id !== current);
}

/** How many data keys each master key wraps, and how many were destroyed. */
export async function countKeys(tx: Tx): Promise<{ master: string; keys: number; destroyed: number }[]> {
  return tx.query(
    `SELECT master, count(wrapped) AS keys, count(*) - count(wrapped) AS destroyed FROM payload_key GROUP BY master ORDER BY master`,
  );
}
