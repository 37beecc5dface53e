/**
 * The only file that reads or writes the table `payload`, the erasable part of the ledger. Everybody else gets SQL fragments or rows
 * from here, so that encryption and erasure have one place to stand in.
 */
import type { JsonValue } from '../kernel/json.js';
import type { Tx } from './database.postgres.js';

/** Part of the append statement: rows `p(event_id, name, bytes)`, joined to the inserted events `ins`. */
export const insertPayload = (rows: string) => `
pay AS (
  INSERT INTO payload (event, name, bytes)
  SELECT ins.id, p.name, p.bytes FROM ${rows} JOIN ins USING (event_id)
)`;

export interface PayloadRow {
  readonly name: string;
  readonly bytes: Buffer;
  readonly keyId: string | null;
}

/** SQL: how many bytes of payload the event with this row id has. Reads none of them. */
export const payloadSize = (event: string) => `(SELECT coalesce(sum(octet_length(p.bytes)), 0) FROM payload p WHERE p.event = ${event})`;

interface EventPayloadRow {
  event: number;
  name: string;
  bytes: Buffer;
  key_id: string | null;
}

/** Disclosures by the row id of their event, which may be given as decimal text. Events without any are absent. */
export async function payloadsOf(tx: Tx, events: readonly (number | string)[]): Promise<Map<number, PayloadRow[]>> {
  if (events.length === 0) return new Map();
  const text = 'SELECT event, name, bytes, key_id FROM payload WHERE event = ANY($1::bigint[]) ORDER BY event, name';
  return byEvent(await tx.named<EventPayloadRow>('payloads_of', text, [events]));
}

/** The same, but of the disclosures only those under these names: the others may be large. */
export async function payloadsNamed(
  tx: Tx,
  events: readonly (number | string)[],
  ...names: [string, ...string[]]
): Promise<Map<number, PayloadRow[]>> {
  if (events.length === 0) return new Map();
  const text = 'SELECT event, name, bytes, key_id FROM payload WHERE event = ANY($1::bigint[]) AND name = ANY($2::text[]) ORDER BY event';
  return byEvent(await tx.named<EventPayloadRow>('payloads_named', text, [events, names]));
}

/** How many disclosures each event still has, and their bytes together; with names, of those alone. Reads none of them. */
export async function payloadSizes(
  tx: Tx,
  events: readonly number[],
  ...names: string[]
): Promise<Map<number, { count: number; bytes: number }>> {
  const rows = await tx.named<{ event: number; count: number; bytes: number }>(
    'payload_sizes',
    `SELECT event, count(*) AS count, sum(octet_length(bytes)) AS bytes FROM payload
      WHERE event = ANY($1::bigint[]) AND (name = ANY($2::text[]) OR $2 = '{}') GROUP BY event`,
    [events, names],
  );
  return new Map(rows.map(({ event, count, bytes }) => [event, { count, bytes: Number(bytes) }]));
}

function byEvent(rows: EventPayloadRow[]): Map<number, PayloadRow[]> {
  const found = new Map<number, PayloadRow[]>();
  for (const { event, name, bytes, key_id } of rows) {
    const list = found.get(event);
    if (list) list.push({ name, bytes, keyId: key_id });
    else found.set(event, [{ name, bytes, keyId: key_id }]);
  }
  return found;
}

const ORPHAN_PAGE = 2000;
const ORPHANS_SHOWN = 20;

/**
 * Rows of `payload` that belong to no event; the foreign key forbids them, a damaged table may hold them. Looks at one page of rows, those
 * of events after `after` (decimal text: damage may have taken it beyond 2^53), and says where to go on; null: that was the last page.
 */
export async function orphanedPayloads(
  tx: Tx,
  after: string,
): Promise<{ orphans: (PayloadRow & { event: string })[]; next: string | null }> {
  const [end] = await tx.named<{ event: string }>(
    'payload_page',
    `SELECT p.event::text AS event FROM payload p WHERE p.event > $1::bigint ORDER BY p.event OFFSET ${ORPHAN_PAGE} LIMIT 1`,
    [after],
  );
  const orphans = await tx.named<{ event: string; name: string; bytes: Buffer; key_id: string | null }>(
    'payload_orphans',
    `SELECT p.event::text AS event, p.name, p.bytes, p.key_id FROM payload p
      WHERE p.event > $1::bigint AND p.event <= coalesce($2::bigint, 9223372036854775807) AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = p.event)
      ORDER BY p.event, p.name LIMIT ${ORPHANS_SHOWN}`,
    [after, end?.event ?? null],
  );
  return { orphans: orphans.map(({ event, name, bytes, key_id }) => ({ event, name, bytes, keyId: key_id })), next: end?.event ?? null };
}

/** The values by name: `[salt, name, value]` without its salt. */
export function disclosedValues(rows: readonly PayloadRow[] | undefined): Record<string, JsonValue> {
  const values: Record<string, JsonValue> = {};
  for (const row of rows ?? []) {
    const [, name, value] = JSON.parse(row.bytes.toString('utf8')) as [string, string, JsonValue];
    values[name] = value;
  }
  return values;
}
