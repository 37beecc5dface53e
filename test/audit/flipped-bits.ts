/** Damage to real tables: one bit of one column of one row. */
import type { Tx } from '../../src/ledger/database.postgres.js';

export type Table = 'event' | 'payload' | 'leaf' | 'stream_head';
export const TABLES: Table[] = ['event', 'payload', 'leaf', 'stream_head'];

/** Everything in the schema that would stop the damage. */
export async function unlock(tx: Tx): Promise<void> {
  const drops = await tx.query<{ sql: string }>(
    `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS sql FROM pg_constraint
      WHERE conrelid = ANY($1::regclass[]) AND contype IN ('f', 'c', 'u', 'p') ORDER BY contype <> 'f'`,
    [TABLES],
  );
  for (const { sql } of drops) await tx.query(sql);
  for (const table of TABLES) await tx.query(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
  await tx.query('DROP INDEX event_one_terminal, event_one_seal');
  await tx.query('ALTER TABLE event ALTER COLUMN id DROP IDENTITY');
}

/** By type: the column with one bit flipped, near its front, its middle and its end. */
const FLIPS: Record<string, ((column: string) => string)[]> = {
  bytea: ['0', '4 * octet_length(%)', '8 * octet_length(%) - 1'].map((at) => (column) => {
    const bit = at.replace('%', column);
    return `set_bit(${column}, ${bit}, 1 - get_bit(${column}, ${bit}))`;
  }),
  text: ['1', '(1 + length(%)) / 2', 'length(%)'].map((at) => (column) => {
    const one = at.replace('%', column);
    return `coalesce(overlay(${column} placing chr(ascii(substr(${column}, ${one}, 1)) # 1) from ${one} for 1), 'x')`;
  }),
  bigint: [0, 9, 62, 63].map((bit) => (column) => `${column} # (1::bigint << ${bit})`),
  'timestamp with time zone': [0, 17, 49].map((bit) => (column) => {
    const flipped = `(((extract(epoch FROM ${column}) - 946684800) * 1000000)::bigint # (1::bigint << ${bit}))`;
    return `'2000-01-01 00:00:00Z'::timestamptz + ${flipped} / 1000000 * interval '1 s' + ${flipped} % 1000000 * interval '1 us'`;
  }),
};

export interface Column {
  readonly table: Table;
  readonly column: string;
  readonly type: string;
}

export const flipsOf = ({ column, type }: Column): string[] => FLIPS[type]!.map((flip) => flip(column));

export async function columns(tx: Tx): Promise<Column[]> {
  return tx.query(
    `SELECT table_name AS table, column_name AS column, data_type AS type FROM information_schema.columns
      WHERE table_schema = 'public' AND table_name = ANY($1) ORDER BY table_name, column_name`,
    [TABLES],
  );
}

// Rows in the middle of a session, so that there is something before and after them.
const MIDDLE = `SELECT e.* FROM event e JOIN stream_head h ON h.stream = e.stream WHERE e.seq > 1 AND e.seq < h.seq AND e.stream LIKE '%/session/%'`;
const VICTIM: Record<Table, (column: string) => string> = {
  event: (column) => `SELECT * FROM (${MIDDLE}) m WHERE m.${column} IS NOT NULL ORDER BY m.id LIMIT 1`,
  payload: () => `SELECT p.* FROM payload p JOIN (${MIDDLE}) m ON m.id = p.event ORDER BY p.event, p.name LIMIT 1`,
  leaf: () => `SELECT l.* FROM leaf l JOIN (${MIDDLE}) m ON m.id = l.event ORDER BY l.idx LIMIT 1`,
  stream_head: () => `SELECT * FROM stream_head WHERE base <> '' ORDER BY stream OFFSET 1 LIMIT 1`,
};
const KEY: Record<Table, string[]> = { event: ['id'], payload: ['event', 'name'], leaf: ['idx'], stream_head: ['stream'] };

type Row = Record<string, unknown>;
export interface Damaged {
  readonly before: Row;
  readonly after: Row;
}

/** Flips and returns the row as it was and as it is; the row is one that has a value in the column, if any has. */
export async function flip(tx: Tx, { table, column }: Column, flipped: string): Promise<Damaged> {
  const [before] = await tx.query<Row>(VICTIM[table](column));
  const where = KEY[table].map((key, i) => `${key} = $${i + 1}`).join(' AND ');
  const keys = KEY[table].map((key) => before![key]);
  const changed = await tx.query<Row>(`UPDATE ${table} SET ${column} = ${flipped} WHERE ${where} RETURNING *`, keys);
  if (changed.length !== 1) throw new Error(`${changed.length} rows of ${table} were damaged`);
  return { before: before!, after: changed[0]! };
}
