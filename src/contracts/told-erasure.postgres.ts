/** Reads what peers are told of an erasure. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Tx } from '../ledger/database.postgres.js';
import { isDone, sessionToTell } from '../ledger/erase.postgres.js';
import { readOrder } from '../ledger/erasure.js';
import type { EventRow } from '../ledger/read.postgres.js';
import { sessionNames } from './sessions.postgres.js';
import type { ToldErasure } from './told-erasure.js';

/** Rejects while it is recorded but not carried out: until then a peer could still be sent what goes. */
export async function toldErasure(tx: Tx, event: Pick<EventRow, 'event_id' | 'record'>): Promise<ToldErasure | null> {
  const order = readOrder(event.record);
  if (!order) return null;
  if (!(await isDone(tx, event.event_id)))
    throw new OrchestratorError('integration_unavailable', 'an erasure is being carried out; peers are told afterwards', { retryAfter: 1 });
  const ids = [...new Set([...order.events, ...order.disclosures.map((one) => one.event)])];
  const rows = await tx.query<{ event_id: string; contract: string; stream: string; type: string }>(
    `SELECT event_id, coalesce(in_reply_to, event_id) AS contract, stream, type FROM event WHERE event_id = ANY($1::text[]) ORDER BY id`,
    [ids],
  );
  const streams = [...new Set([...order.streams, ...rows.map((row) => row.stream)])];
  const names = await sessionNames(tx, streams);
  const told = (await sessionToTell(tx, [event.event_id])).get(event.event_id);
  const isBlock = ({ type }: { type: string }) => type === 'session.compressed';
  return {
    streams,
    session: told ?? names.get(streams.at(-1) ?? '') ?? null,
    whole: order.streams.length > 0,
    contracts: [...new Set(rows.filter((row) => !isBlock(row)).map((row) => row.contract))],
    blocks: rows.filter(isBlock).map((row) => row.event_id),
    fields: order.events.length === 0 && order.disclosures.length > 0 ? [...new Set(order.disclosures.map(({ name }) => name))] : null,
  };
}
