/** Reads what went on in a session before a task: nothing here looks at more of a stream, or of a payload, than its bounds say. */
import type { JsonValue } from '../kernel/json.js';
import type { Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadSizes, payloadsNamed } from '../ledger/payload.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../ledger/read.postgres.js';
import { fitting, type PastContract, type Standing, standing, type Turn } from './conversation.js';

/** Events of the stream, and RESPONSEs of the agent, that are looked at for where a conversation stands. */
const LOOK = { events: 1000, responses: 20 };
/** Of the payload of all contracts of a history together, as it is stored. */
export const MAX_HISTORY_BYTES = 256 * 1024;
export const MAX_HISTORY = 50;

const SHOWN = ['parameters', 'result', 'text', 'error'] as const;

/**
 * Where the conversation with an agent stands in a session (its streams, oldest first): in its present stream, else in the one before, which
 * idleness closed. null: nowhere, or further back than is looked.
 */
export async function standingOf(tx: Tx, streams: readonly string[], agent: string): Promise<Standing | null> {
  for (const stream of streams.slice(-2).reverse()) {
    const found = standing(await turnsOf(tx, stream, agent));
    if (found !== undefined) return found;
  }
  return null;
}

async function turnsOf(tx: Tx, stream: string, agent: string): Promise<Turn[]> {
  const rows = await tx.named<Pick<EventRow, 'id' | 'event_id' | 'error_code'>>(
    'responses_of_agent',
    `SELECT e.id, e.event_id, e.error_code
       FROM (SELECT id, event_id, seq, type, from_agent, error_code FROM event WHERE stream = $1 ORDER BY seq DESC LIMIT ${LOOK.events}) e
      WHERE e.type = 'contract.response' AND e.from_agent = $2 ORDER BY e.seq DESC LIMIT ${LOOK.responses}`,
    [stream, agent],
  );
  const left = await payloadsNamed(
    tx,
    rows.map((e) => e.id),
    'continuation',
  );
  return rows.map((e) => ({ response: e.event_id, code: e.error_code, continuation: disclosedValues(left.get(e.id))['continuation'] }));
}

/**
 * The latest contracts of these streams (oldest stream first) that have ended, the one that ended last first. `before`: only what stood in the
 * last stream before this seq.
 */
export async function historyOf(
  tx: Tx,
  streams: readonly string[],
  most: number,
  before = Number.MAX_SAFE_INTEGER,
): Promise<PastContract[]> {
  const responses: EventRow[] = [];
  for (const [i, stream] of streams.toReversed().entries()) {
    if (responses.length >= most) break;
    responses.push(
      ...(await tx.named<EventRow>(
        'latest_responses',
        `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.stream = $1 AND e.type = 'contract.response' AND e.seq < $3 ORDER BY e.seq DESC LIMIT $2`,
        [stream, most - responses.length, i === 0 ? before : Number.MAX_SAFE_INTEGER],
      )),
    );
  }
  const requests = await tx.named<EventRow>('requests_by_id', `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.event_id = ANY($1::text[])`, [
    responses.map((e) => e.in_reply_to),
  ]);
  const asked = new Map(requests.map((e) => [e.event_id, e]));
  const pairs = responses.flatMap((response) => {
    const request = asked.get(response.in_reply_to!);
    return request ? [{ request, response }] : [];
  });
  const sizes = await payloadSizes(tx, rowsOf(pairs), ...SHOWN);
  const sizeOf = (event: EventRow) => sizes.get(event.id)?.bytes ?? 0;
  const given = fitting(pairs, ({ request, response }) => sizeOf(request) + sizeOf(response), MAX_HISTORY_BYTES);
  const payloads = await payloadsNamed(tx, rowsOf(given), ...SHOWN);
  return given.map(({ request, response }) =>
    past(request, response, { ...disclosedValues(payloads.get(request.id)), ...disclosedValues(payloads.get(response.id)) }),
  );
}

const rowsOf = (pairs: readonly { request: EventRow; response: EventRow }[]) =>
  pairs.flatMap(({ request, response }) => [request.id, response.id]);

function past(request: EventRow, response: EventRow, values: Record<string, JsonValue>): PastContract {
  return {
    contract_id: request.event_id,
    agent_id: request.to_agent,
    capability: request.capability,
    parameters: values['parameters'] ?? null,
    result: values['result'] ?? null,
    text: (values['text'] as string | undefined) ?? null,
    error: (values['error'] as { message?: string } | undefined)?.message ?? null,
    error_code: response.error_code,
    status: response.status as PastContract['status'],
    created_at: request.time,
  };
}
