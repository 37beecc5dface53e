/**
 * The only file that reads or writes the table `payload`, the erasable part of the ledger. Everybody else gets SQL fragments or rows
 * from here. What is sealed is opened here; sealed it is on its way into the append statement (batch.ts).
 */
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Tx } from './database.postgres.js';
import { keysById } from './keys.postgres.js';
import { type Sealed, unseal } from './keys.system.js';

/** Part of the append statement: rows `p(event_id, name, bytes, key_id)`, joined to the inserted events `ins`. */
export const insertPayload = (rows: string) => `
pay AS (
  INSERT INTO payload (event, name, bytes, key_id)
  SELECT ins.id, p.name, p.bytes, p.key_id FROM ${rows} JOIN ins USING (event_id)
)`;

export interface PayloadRow {
  readonly name: string;
  /** The disclosure, or what stands for it where it could not be opened. */
  readonly bytes: Buffer;
  /** null: it is not sealed. */
  readonly keyId: string | null;
  /** Why it could not be opened. */
  readonly sealed?: Sealed;
}

/** SQL: how many bytes of payload the event with this row id has, as they are stored. Reads none of them. */
export const payloadSize = (event: string) => `(SELECT coalesce(sum(octet_length(p.bytes)), 0) FROM payload p WHERE p.event = ${event})`;

type EventPayloadRow = StoredRow<number>;

/** Disclosures by the row id of their event, which may be given as decimal text. Events without any are absent. */
export async function payloadsOf(tx: Tx, events: readonly (number | string)[]): Promise<Map<number, PayloadRow[]>> {
  if (events.length === 0) return new Map();
  const text = 'SELECT event, name, bytes, key_id FROM payload WHERE event = ANY($1::bigint[]) ORDER BY event, name';
  return byEvent(await opened(tx, await tx.named<EventPayloadRow>('payloads_of', text, [events])));
}

/** The same, but of the disclosures only those under these names: the others may be large. */
export async function payloadsNamed(
  tx: Tx,
  events: readonly (number | string)[],
  ...names: [string, ...string[]]
): Promise<Map<number, PayloadRow[]>> {
  if (events.length === 0) return new Map();
  const text = 'SELECT event, name, bytes, key_id FROM payload WHERE event = ANY($1::bigint[]) AND name = ANY($2::text[]) ORDER BY event';
  return byEvent(await opened(tx, await tx.named<EventPayloadRow>('payloads_named', text, [events, names])));
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

function byEvent<T extends PayloadRow & { event: number }>(rows: readonly T[]): Map<number, PayloadRow[]> {
  const found = new Map<number, PayloadRow[]>();
  for (const row of rows) {
    const list = found.get(row.event);
    if (list) list.push(row);
    else found.set(row.event, [row]);
  }
  return found;
}

interface StoredRow<E> {
  readonly event: E;
  readonly name: string;
  readonly bytes: Buffer;
  readonly key_id: string | null;
}

/** With one query for all the keys that are not at hand. */
async function opened<E>(tx: Tx, rows: readonly StoredRow<E>[]): Promise<(PayloadRow & { event: E })[]> {
  const keys = new Map<string, Buffer | Sealed>();
  for (const { key_id } of rows) if (key_id !== null && !keys.has(key_id)) keys.set(key_id, tx.keys.remembered(key_id) ?? 'no such key');
  const unknown = [...keys].flatMap(([id, key]) => (typeof key === 'string' ? [id] : []));
  if (unknown.length > 0) for (const row of await keysById(tx, unknown)) keys.set(row.key_id, tx.keys.open(row));
  return rows.map(({ event, name, bytes, key_id: keyId }) => {
    if (keyId === null) return { event, name, bytes, keyId };
    const key = keys.get(keyId)!;
    const disclosure = typeof key === 'string' ? null : unseal(key, name, bytes);
    return disclosure
      ? { event, name, bytes: disclosure, keyId }
      : { event, name, bytes, keyId, sealed: typeof key === 'string' ? key : 'damaged' };
  });
}

/** Everything these events disclose. */
export async function eraseEvents(tx: Tx, eventIds: readonly string[]): Promise<void> {
  await tx.query('DELETE FROM payload p USING (SELECT id FROM event WHERE event_id = ANY($1::text[])) e WHERE p.event = e.id', [eventIds]);
}

/** One disclosure of each of these events. */
export async function eraseNamed(tx: Tx, of: readonly { event: string; name: string }[]): Promise<void> {
  await tx.query(
    `DELETE FROM payload p USING unnest($1::text[], $2::text[]) n(event_id, name) JOIN event e USING (event_id) WHERE p.event = e.id AND p.name = n.name`,
    [of.map(({ event }) => event), of.map(({ name }) => name)],
  );
}

/** Everything the events of a stream disclose that stand in these places. */
export async function eraseStream(tx: Tx, stream: string, places: { from: number; to: number }): Promise<void> {
  await tx.query('DELETE FROM payload p USING (SELECT id FROM event WHERE stream = $1 AND seq BETWEEN $2 AND $3) e WHERE p.event = e.id', [
    stream,
    places.from,
    places.to,
  ]);
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
  const orphans = await tx.named<StoredRow<string>>(
    'payload_orphans',
    `SELECT p.event::text AS event, p.name, p.bytes, p.key_id FROM payload p
      WHERE p.event > $1::bigint AND p.event <= coalesce($2::bigint, 9223372036854775807) AND NOT EXISTS (SELECT 1 FROM event e WHERE e.id = p.event)
      ORDER BY p.event, p.name LIMIT ${ORPHANS_SHOWN}`,
    [after, end?.event ?? null],
  );
  return { orphans: await opened(tx, orphans), next: end?.event ?? null };
}

/** The values by name: `[salt, name, value]` without its salt. What was sealed with a key that is destroyed is gone, like rows that are erased. */
export function disclosedValues(rows: readonly PayloadRow[] | undefined): Record<string, JsonValue> {
  const values: Record<string, JsonValue> = {};
  for (const row of rows ?? []) {
    if (row.sealed === 'key destroyed') continue;
    if (row.sealed) throw new OrchestratorError('internal', `payload ${row.name} under key ${row.keyId} cannot be opened: ${row.sealed}`);
    const [, name, value] = JSON.parse(row.bytes.toString('utf8')) as [string, string, JsonValue];
    values[name] = value;
  }
  return values;
}
