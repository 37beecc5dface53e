/** Payload that is no longer there, and what the record says about it. */
import type { Tx } from '../ledger/database.postgres.js';
import { erasedBy } from '../ledger/erased.postgres.js';
import type { PayloadRow } from '../ledger/payload.postgres.js';
import type { EventRow } from '../ledger/read.postgres.js';

/** Those whose payload is not all there, or cannot be opened. */
export const shortOf = <R extends Pick<EventRow, 'id' | 'record'>>(
  rows: readonly R[],
  payloads: ReadonlyMap<number, readonly PayloadRow[]>,
): R[] => rows.filter((row) => digestsOf(row.record) > readable(payloads.get(row.id)).length);

export const readable = (rows: readonly PayloadRow[] = []): PayloadRow[] => rows.filter(({ sealed }) => !sealed);

/** By event id, of events whose payload is not all there: why; null: nothing recorded explains it. */
export async function reasonsGone(
  tx: Tx,
  short: readonly Pick<EventRow, 'id' | 'event_id' | 'stream'>[],
): Promise<Map<string, string | null>> {
  const erased = short.length > 0 ? await erasedBy(tx, short) : new Map();
  return new Map(
    short.map(({ id, event_id }) => {
      const by = erased.get(id);
      return [event_id, by ? `erased at ${by.at} (${by.erasure_id})${by.basis === null ? '' : `: ${by.basis}`}` : null];
    }),
  );
}

const digestsOf = (record: Buffer): number => (JSON.parse(record.toString('utf8')) as { _sd?: string[] })._sd?.length ?? 0;
