/** Keeps the aggregate views: the first follower, and the proof of the machinery. */
import type { Tx } from '../ledger/database.postgres.js';
import type { Follower } from '../ledger/follow.worker.js';
import type { SequencedColumns } from '../ledger/read.postgres.js';
import { tally } from './tally.js';

const TALLIES = 'tallies';

export class Tallies implements Follower {
  readonly name = TALLIES;

  async handle(events: readonly SequencedColumns[], tx: Tx): Promise<void> {
    const { contracts, sessions } = tally(events);
    // Sorted, so that no two writers could ever wait for each other in a circle.
    await tx.named(
      'tally_contracts',
      `INSERT INTO contract_tally AS t (tenant, agent, capability, status, n)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS d(tenant, agent, capability, status, n) ORDER BY 1, 2, 3, 4
       ON CONFLICT (tenant, agent, capability, status) DO UPDATE SET n = t.n + excluded.n`,
      [
        contracts.map((c) => c.tenant),
        contracts.map((c) => c.agent),
        contracts.map((c) => c.capability),
        contracts.map((c) => c.status),
        contracts.map((c) => c.n),
      ],
    );
    if (sessions.length === 0) return;
    await tx.named(
      'tally_sessions',
      `INSERT INTO session_tally AS t (tenant, state, n) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) AS d(tenant, state, n) ORDER BY 1, 2
       ON CONFLICT (tenant, state) DO UPDATE SET n = t.n + excluded.n`,
      [sessions.map((s) => s.tenant), sessions.map((s) => s.state), sessions.map((s) => s.n)],
    );
  }
}

export interface ContractTotals {
  readonly total_sessions: number;
  readonly total_contracts: number;
  readonly by_status: Record<'pending' | 'completed' | 'failed' | 'cancelled', number>;
}

/** As of the follower's cursor: a moment behind the ledger. Null: of all tenants. */
export async function contractTotals(tx: Tx, tenant: string | null): Promise<ContractTotals> {
  const rows = await tx.query<{ status: string; n: number }>(
    'SELECT status, sum(n)::bigint AS n FROM contract_tally WHERE ($1::text IS NULL OR tenant = $1) GROUP BY status',
    [tenant],
  );
  const [sessions] = await tx.query<{ n: number }>(
    `SELECT coalesce(sum(n), 0)::bigint AS n FROM session_tally WHERE ($1::text IS NULL OR tenant = $1) AND state = 'opened'`,
    [tenant],
  );
  const n = (status: string) => rows.find((row) => row.status === status)?.n ?? 0;
  const [requested, completed, failed, cancelled] = [n('requested'), n('completed'), n('failed'), n('cancelled')];
  return {
    total_sessions: sessions!.n,
    total_contracts: requested,
    by_status: { pending: requested - completed - failed - cancelled, completed, failed, cancelled },
  };
}

/** Of all tenants, as of now: what the follower has counted, and what it has not come to. */
export async function openSessions(tx: Tx): Promise<number> {
  const opened = (event: string) => `(${event}.seq = 1)::int - (${event}.type = 'session.closed')::int`;
  const session = `stream LIKE '%/session/%'`;
  const [row] = await tx.query<{ n: number }>(
    `SELECT (SELECT coalesce(sum(CASE state WHEN 'opened' THEN n ELSE -n END), 0) FROM session_tally)::bigint
          + (SELECT coalesce(sum(${opened('e')}), 0) FROM leaf l CROSS JOIN LATERAL (SELECT stream, seq, type FROM event WHERE id = l.event OFFSET 0) e
              WHERE l.idx > (SELECT cursor FROM follower WHERE name = $1) AND e.${session})
          + (SELECT coalesce(sum(${opened('e')}), 0) FROM pending p JOIN event e ON e.id = p.id WHERE e.${session}) AS n`,
    [TALLIES],
  );
  return Number(row!.n);
}

export interface AgentTotals {
  readonly requested: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

/** How many contracts of each agent ended how; who was never asked is absent. As of the follower's cursor. */
export async function agentTotals(tx: Tx, tenant: string): Promise<Map<string, AgentTotals>> {
  const of = (status: string) => `coalesce(sum(n) FILTER (WHERE status = '${status}'), 0)::bigint AS ${status}`;
  const rows = await tx.query<AgentTotals & { agent: string }>(
    `SELECT agent, ${['requested', 'completed', 'failed', 'cancelled'].map(of).join(', ')} FROM contract_tally WHERE tenant = $1 GROUP BY agent`,
    [tenant],
  );
  return new Map(rows.map(({ agent, ...totals }) => [agent, totals]));
}
