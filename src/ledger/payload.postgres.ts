/**
 * The only file that reads or writes the table `payload`, the erasable part of the ledger. Everybody else gets SQL fragments or rows
 * from here, so that encryption and erasure have one place to stand in.
 */
import type { JsonValue } from '../kernel/json.js';
import type { Tx } from './database.postgres.js';

/** Part of the append statement: `event_id`, `name`, `bytes` arrays at the given parameters, joined to the inserted events `ins`. */
export const insertPayload = (id: number, name: number, bytes: number) => `
pay AS (
  INSERT INTO payload (event, name, bytes)
  SELECT ins.id, p.name, p.bytes
    FROM unnest($${id}::text[], $${name}::text[], $${bytes}::bytea[]) AS p(event_id, name, bytes) JOIN ins USING (event_id)
)`;

export interface PayloadRow {
  readonly name: string;
  readonly bytes: Buffer;
  readonly keyId: string | null;
}

/** Disclosures by the row id of their event. Events without any are absent. */
export async function payloadsOf(tx: Tx, events: readonly number[]): Promise<Map<number, PayloadRow[]>> {
  const found = new Map<number, PayloadRow[]>();
  if (events.length === 0) return found;
  const rows = await tx.named<{ event: number; name: string; bytes: Buffer; key_id: string | null }>(
    'payloads_of',
    'SELECT event, name, bytes, key_id FROM payload WHERE event = ANY($1::bigint[]) ORDER BY event, name',
    [events],
  );
  for (const { event, name, bytes, key_id } of rows) {
    const list = found.get(event);
    if (list) list.push({ name, bytes, keyId: key_id });
    else found.set(event, [{ name, bytes, keyId: key_id }]);
  }
  return found;
}

/** Rows of `payload` that belong to no event; the foreign key forbids them, a damaged table may hold them. */
export async function orphanedPayloads(tx: Tx): Promise<{ event: number; name: string }[]> {
  return tx.query('SELECT p.event, p.name FROM payload p LEFT JOIN event e ON e.id = p.event WHERE e.id IS NULL ORDER BY 1, 2 LIMIT 10');
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
