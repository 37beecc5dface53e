import type { Database, Tx } from './database.postgres.js';

// One statement: whoever gets the row of `sequencer` moves events from `pending` to `leaf`, in id order, with the next dense idx.
// Statement snapshot and row lock fit together: the newest version of the row is read under the lock, and a `pending` row that
// another sequencer deleted after our snapshot is skipped by our DELETE. An event that commits late simply gets a later idx; inside a
// stream the order holds, because seq n+1 can only be written by somebody who saw n.
const SEQUENCE = `
WITH
turn AS MATERIALIZED (SELECT size, sequenced_at FROM sequencer FOR UPDATE SKIP LOCKED),
moved AS (
  DELETE FROM pending WHERE id = ANY(ARRAY(SELECT id FROM pending WHERE id > $1 AND (SELECT true FROM turn) ORDER BY id LIMIT $2)) RETURNING id
),
numbered AS MATERIALIZED (
  SELECT (SELECT size FROM turn) + row_number() OVER (ORDER BY m.id) - 1 AS idx, m.id, (SELECT e.hash FROM event e WHERE e.id = m.id) AS hash FROM moved m
),
stamped AS MATERIALIZED (SELECT greatest(sequenced_at, date_trunc('milliseconds', clock_timestamp())) AS at FROM turn),
leaves AS (
  INSERT INTO leaf (idx, event, hash, sequenced_at, digest)
  SELECT n.idx, n.id, n.hash, s.at, sha256(${leafDigestInput('n.idx', 'n.id', 'n.hash', 's.at')}) FROM numbered n CROSS JOIN stamped s ORDER BY n.idx
),
grown AS (
  UPDATE sequencer SET size = size + (SELECT count(*) FROM numbered), sequenced_at = (SELECT at FROM stamped)
   WHERE EXISTS (SELECT 1 FROM numbered)
)
SELECT (SELECT count(*) FROM turn)::int AS turn, (SELECT count(*) FROM numbered)::int AS n, (SELECT max(id) FROM numbered) AS last, (SELECT max(idx) + 1 FROM numbered) AS size`;

export const SEQUENCED_CHANNEL = 'ledger_sequenced';

/** The same, and whoever listens hears of it with the commit. */
const SEQUENCE_AND_NOTIFY = `${SEQUENCE}, (SELECT pg_notify('${SEQUENCED_CHANNEL}', '') FROM numbered LIMIT 1) AS notified`;

/** The bytes whose SHA-256 stands in leaf.digest: idx, event, hash and milliseconds since 1970 as text, separated by spaces. */
export function leafDigestInput(idx: string, event: string, hash: string, at: string): string {
  return `(${idx}::text || ' ' || ${event}::text || ' ' || encode(${hash}, 'hex') || ' ' || (extract(epoch FROM ${at}) * 1000)::bigint::text)::bytea`;
}

export interface Sequenced {
  /** False: another replica sequences. */
  readonly turn: boolean;
  readonly n: number;
  /** Highest event id sequenced, null if none. */
  readonly last: number | null;
  /** How many events have their place now; null: nothing was sequenced. */
  readonly size: number | null;
}

/** Gives up to `limit` pending events above row id `above` their place. */
export async function sequence(db: Database, above: number, limit: number): Promise<Sequenced> {
  const [name, text] = db.embedded ? ['sequence', SEQUENCE] : ['sequence_and_notify', SEQUENCE_AND_NOTIFY];
  const [row] = await db.named<Omit<Sequenced, 'turn'> & { turn: number }>(name!, text!, [above, limit]);
  return { ...row!, turn: row!.turn === 1 };
}

/** The next idx: all below it have their place. */
export async function ledgerEnd(tx: Tx): Promise<number> {
  const [row] = await tx.named<{ size: number }>('ledger_end', 'SELECT size FROM sequencer', []);
  return row!.size;
}

export interface LedgerSize {
  readonly sequenced: number;
  readonly pending: number;
  readonly sequenced_at: string | null;
}

export async function ledgerSize(db: Database): Promise<LedgerSize> {
  const [row] = await db.query<LedgerSize>(
    `SELECT size AS sequenced, (SELECT count(*) FROM pending)::int AS pending,
            CASE WHEN size > 0 THEN to_char(sequenced_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END AS sequenced_at FROM sequencer`,
  );
  return row!;
}
