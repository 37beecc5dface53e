/** Why payload is gone, for whoever shows what is left. */
import type { Tx } from './database.postgres.js';
import { disclosedValues, payloadsNamed } from './payload.postgres.js';
import type { EventRow } from './read.postgres.js';

export interface ErasedBy {
  /** Id of the payload.erased event. */
  readonly erasure_id: string;
  readonly at: string;
  /** As it was given; null: it cannot be read any more. */
  readonly basis: string | null;
  readonly requested_by: string | null;
}

/** By the row id of the event: the latest erasure of something it disclosed. What lost nothing is absent. */
export async function erasedBy(tx: Tx, events: readonly Pick<EventRow, 'id' | 'stream'>[]): Promise<Map<number, ErasedBy>> {
  const rows = await tx.named<{ stream: string; event: number; id: number; event_id: string; time: string }>(
    'erased_by',
    `SELECT x.stream, x.event, e.id, e.event_id, e.time FROM erased x JOIN event e ON e.event_id = x.erasure
      WHERE x.stream = ANY($1::text[]) AND x.event = ANY($2::bigint[]) ORDER BY e.id`,
    [[...new Set(events.map(({ stream }) => stream))], [0, ...events.map(({ id }) => id)]],
  );
  if (rows.length === 0) return new Map();
  const reasons = await payloadsNamed(tx, [...new Set(rows.map(({ id }) => id))], 'basis', 'requested_by');
  const found = new Map<string | number, ErasedBy>();
  for (const { stream, event, id, event_id, time } of rows) {
    const { basis = null, requested_by = null } = disclosedValues(reasons.get(id)) as Record<string, string>;
    found.set(event === 0 ? stream : event, { erasure_id: event_id, at: time, basis, requested_by });
  }
  return new Map(
    events.flatMap(({ id, stream }) => {
      const by = found.get(stream) ?? found.get(id);
      return by ? [[id, by] as const] : [];
    }),
  );
}
