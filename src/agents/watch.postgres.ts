/** What is known of agents between their events, shared by all replicas: the latest probe, what calls said, leases. */
import type { Tx } from '../ledger/database.postgres.js';
import type { Health } from './agent-client.js';
import type { Watched } from './health.js';

export interface WatchRow extends Watched {
  readonly agent: string;
  readonly due: boolean;
  readonly checked_at: Date | null;
  readonly status: Health['status'] | null;
  readonly healthy_at: Date | null;
  readonly lease_until: Date | null;
}

/** What calls said is old news after this time: an agent nobody calls any more must be able to come back. */
const CALLS_COUNT_SECONDS = 300;

/** Rows of these agents; who was never watched has none. */
export async function watchRows(tx: Tx, agents: readonly string[]): Promise<Map<string, WatchRow>> {
  const rows = await tx.named<WatchRow>(
    'watch_rows',
    `SELECT agent, due_at <= clock_timestamp() AS due, checked_at, status, error, failures, healthy_at,
            CASE WHEN calls_at > clock_timestamp() - make_interval(secs => ${CALLS_COUNT_SECONDS}) THEN calls END AS calls, calls_error,
            misses, lease_until, coalesce(lease_until < clock_timestamp(), false) AS lease_over
       FROM agent_watch WHERE agent = ANY($1::text[])`,
    [agents],
  );
  return new Map(rows.map((row) => [row.agent, row]));
}

/**
 * Takes the turn to probe these agents: of any number of replicas one gets it, for each agent and interval, give or take a fifth: those that came
 * together are not asked together for ever. In order, so that nobody waits in a circle.
 */
export async function takeProbes(tx: Tx, agents: readonly string[], seconds: number): Promise<string[]> {
  if (agents.length === 0) return [];
  const rows = await tx.named<{ agent: string }>(
    'take_probes',
    `INSERT INTO agent_watch AS w (agent, due_at)
     SELECT a, clock_timestamp() + make_interval(secs => $2::float8 * (0.8 + 0.4 * random())) FROM unnest($1::text[]) AS a ORDER BY a COLLATE "C"
     ON CONFLICT (agent) DO UPDATE SET due_at = excluded.due_at WHERE w.due_at <= clock_timestamp() RETURNING agent`,
    [agents, seconds],
  );
  return rows.map((row) => row.agent);
}

/** The first failure is looked at again soon. A good probe also refutes calls that found nobody there. */
export async function noteProbe(tx: Tx, agent: string, { status, error }: Health): Promise<void> {
  await tx.named(
    'note_probe',
    `UPDATE agent_watch SET checked_at = clock_timestamp(), status = $2, error = $3,
            failures = CASE WHEN $2 = 'unhealthy' THEN failures + 1 ELSE 0 END,
            due_at = CASE WHEN $2 = 'unhealthy' AND failures = 0 THEN least(due_at, clock_timestamp() + interval '1 second') ELSE due_at END,
            healthy_at = CASE WHEN $2 = 'healthy' THEN clock_timestamp() ELSE healthy_at END,
            calls = CASE WHEN $2 = 'healthy' AND calls = 'offline' THEN NULL ELSE calls END
      WHERE agent = $1`,
    [agent, status, error?.slice(0, 1000) ?? null],
  );
}

export async function noteCalls(tx: Tx, agent: string, calls: 'offline' | 'error' | null, code: string | null): Promise<void> {
  await tx.named(
    'note_calls',
    `INSERT INTO agent_watch (agent, calls, calls_error, calls_at) VALUES ($1, $2, $3, clock_timestamp())
     ON CONFLICT (agent) DO UPDATE SET calls = excluded.calls, calls_error = excluded.calls_error, calls_at = excluded.calls_at`,
    [agent, calls, code === null ? null : `its latest calls ended ${code}`],
  );
}

/** A sign of life; with `leaseSeconds` it is good until then, without it there is no lease. Returns when the lease ends. */
export async function noteHeartbeat(tx: Tx, agent: string, leaseSeconds: number | null): Promise<Date | null> {
  const [row] = await tx.named<{ lease_until: Date | null }>(
    'note_heartbeat',
    `INSERT INTO agent_watch (agent, healthy_at, lease_until) VALUES ($1, clock_timestamp(), clock_timestamp() + make_interval(secs => $2::float8))
     ON CONFLICT (agent) DO UPDATE SET healthy_at = excluded.healthy_at, lease_until = excluded.lease_until RETURNING lease_until`,
    [agent, leaseSeconds],
  );
  return row!.lease_until;
}

/** A new registration starts without the past of the old one. */
export async function watchAfresh(tx: Tx, agent: string, leaseSeconds: number | null): Promise<void> {
  await tx.named(
    'watch_afresh',
    `INSERT INTO agent_watch (agent, lease_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2::float8))
     ON CONFLICT (agent) DO UPDATE SET due_at = '-infinity', checked_at = NULL, status = NULL, error = NULL, failures = 0, healthy_at = NULL,
       calls = NULL, calls_error = NULL, calls_at = NULL, misses = 0, lease_until = excluded.lease_until`,
    [agent, leaseSeconds],
  );
}

/** Whether discovery found these agents. Nothing is written of those that were there and are. In order, so that nobody waits in a circle. */
export async function noteFound(tx: Tx, agents: readonly { readonly agent: string; readonly found: boolean }[]): Promise<void> {
  if (agents.length === 0) return;
  await tx.named(
    'note_found',
    `INSERT INTO agent_watch AS w (agent, misses) SELECT a, m FROM unnest($1::text[], $2::int[]) AS s(a, m) ORDER BY a COLLATE "C"
     ON CONFLICT (agent) DO UPDATE SET misses = CASE WHEN excluded.misses = 0 THEN 0 ELSE w.misses + 1 END
      WHERE excluded.misses > 0 OR w.misses > 0`,
    [agents.map(({ agent }) => agent), agents.map(({ found }) => (found ? 0 : 1))],
  );
}
