/** Reads what Trace is told, for many events with few queries. */
import { sessionNames } from '../../contracts/sessions.postgres.js';
import { toldErasure } from '../../contracts/told-erasure.postgres.js';
import type { Tx } from '../../ledger/database.postgres.js';
import { disclosedValues, payloadSizes, payloadsNamed } from '../../ledger/payload.postgres.js';
import type { EventRow, PlacedEvent } from '../../ledger/read.postgres.js';
import { erasureMessage, FORWARDED_PAYLOAD, type TraceMessage, traceMessage } from './trace-message.js';

/** By event id; what is neither half of a contract nor an erasure is absent. */
export async function traceMessages(events: readonly PlacedEvent[], tx: Tx): Promise<Map<string, TraceMessage>> {
  return new Map([...(await contractMessages(events, tx)), ...(await erasureMessages(events, tx))]);
}

async function erasureMessages(events: readonly PlacedEvent[], tx: Tx): Promise<[string, TraceMessage][]> {
  const messages: [string, TraceMessage][] = [];
  for (const event of events) {
    const told = event.type === 'payload.erased' ? await toldErasure(tx, event) : null;
    const message = told && erasureMessage({ ...event, hash: event.hash.toString('hex') }, told);
    if (message) messages.push([event.event_id, message]);
  }
  return messages;
}

async function contractMessages(events: readonly PlacedEvent[], tx: Tx): Promise<Map<string, TraceMessage>> {
  const contracts = events.filter(({ type }) => type === 'contract.request' || type === 'contract.response');
  if (contracts.length === 0) return new Map();
  const ids = contracts.map((event) => event.id);
  const payloads = await payloadsNamed(tx, ids, ...FORWARDED_PAYLOAD);
  const sizes = await payloadSizes(tx, ids);
  const names = await sessionNames(
    tx,
    contracts.map((event) => event.stream),
  );
  const parents = await parentsOf(contracts, tx);
  return new Map(
    contracts.map((event) => {
      const record = JSON.parse(event.record.toString('utf8')) as { prev: string | null; _sd?: string[] };
      const message = traceMessage({
        ...event,
        hash: event.hash.toString('hex'),
        prev: record.prev,
        session: names.get(event.stream) ?? null,
        payload: disclosedValues(payloads.get(event.id)),
        erased: (record._sd?.length ?? 0) > (sizes.get(event.id)?.count ?? 0),
        parent: (event.type === 'contract.request' && event.cause !== null && parents.get(event.cause)) || null,
      });
      return [event.event_id, message];
    }),
  );
}

/** Cause → the contract it belongs to. A cause that is no half of a contract, such as an old seal, has none. */
async function parentsOf(events: readonly EventRow[], tx: Tx): Promise<Map<string, string>> {
  const causes = events.flatMap(({ type, cause }) => (type === 'contract.request' && cause !== null ? [cause] : []));
  if (causes.length === 0) return new Map();
  const rows = await tx.named<{ event_id: string; contract: string }>(
    'contracts_of',
    `SELECT event_id, coalesce(in_reply_to, event_id) AS contract FROM event
      WHERE event_id = ANY($1::text[]) AND type IN ('contract.request', 'contract.response')`,
    [causes],
  );
  return new Map(rows.map(({ event_id, contract }) => [event_id, contract]));
}
