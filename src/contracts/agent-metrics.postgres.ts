/** How an agent has done: counted from the record, so a restart loses nothing of it. */
import type { Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadsNamed } from '../ledger/payload.postgres.js';

/** No further back than this many events, whoever they are about, and of those at most so many answers of the agent. */
const MOST_EVENTS = 50_000;
const MOST_ANSWERS = 1000;

export interface AgentDurations {
  /** Answers they were measured at. */
  readonly measured: number;
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
  readonly last_error: { readonly contract_id: string; readonly code: string; readonly message: string | null; readonly at: string } | null;
}

/** From the writing of the REQUEST to that of the RESPONSE. */
export async function agentDurations(tx: Tx, tenant: string, agent: string): Promise<AgentDurations> {
  const rows = await tx.named<{ id: number; request: string; asked: string; answered: string; status: string; error_code: string | null }>(
    'agent_durations',
    `SELECT r.id, r.in_reply_to AS request, q.time AS asked, r.time AS answered, r.status, r.error_code FROM (
       SELECT id, in_reply_to, time, status, error_code FROM (
         SELECT id, stream, type, from_agent, in_reply_to, time, status, error_code FROM event ORDER BY id DESC LIMIT ${MOST_EVENTS}) e
        WHERE e.type = 'contract.response' AND e.from_agent = $1 AND starts_with(e.stream, $2) ORDER BY id DESC LIMIT ${MOST_ANSWERS}) r
       CROSS JOIN LATERAL (SELECT time FROM event WHERE event_id = r.in_reply_to OFFSET 0) q ORDER BY r.id DESC`,
    [agent, `${tenant}/`],
  );
  const took = rows.map((row) => Date.parse(row.answered) - Date.parse(row.asked)).sort((a, b) => a - b);
  const failed = rows.find((row) => row.status !== 'completed');
  return {
    measured: took.length,
    p50_ms: percentile(took, 0.5),
    p95_ms: percentile(took, 0.95),
    last_error: failed
      ? {
          contract_id: failed.request,
          code: failed.error_code ?? failed.status,
          message: await messageOf(tx, failed.id),
          at: failed.answered,
        }
      : null,
  };
}

/** The nearest rank: a duration that was measured. */
const percentile = (sorted: readonly number[], p: number): number | null =>
  sorted.length === 0 ? null : Math.max(0, sorted[Math.ceil(sorted.length * p) - 1]!);

async function messageOf(tx: Tx, event: number): Promise<string | null> {
  const { error } = disclosedValues((await payloadsNamed(tx, [event], 'error')).get(event));
  return (error as { message?: string } | undefined)?.message ?? null;
}

/** Calls under way by agent, of all replicas. */
export async function inFlight(tx: Tx): Promise<Map<string, number>> {
  const rows = await tx.query<{ agent: string; n: number }>(
    `SELECT e.to_agent AS agent, count(*) AS n FROM open_request o
      CROSS JOIN LATERAL (SELECT to_agent FROM event WHERE event_id = o.id OFFSET 0) e WHERE e.to_agent IS NOT NULL GROUP BY 1`,
  );
  return new Map(rows.map(({ agent, n }) => [agent, n]));
}
