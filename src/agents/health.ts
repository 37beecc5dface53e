/** How an agent is, by all that is known of it. Pure: the row of agent_watch comes in, as seen on the database's clock. */
import type { HealthState } from './agent-state.js';

export interface Watched {
  /** Probes that failed since the last that did not. */
  readonly failures: number;
  readonly error: string | null;
  /** What real calls say. */
  readonly calls: 'offline' | 'error' | null;
  readonly calls_error: string | null;
  /** Times in a row discovery did not find it. */
  readonly misses: number;
  readonly lease_over: boolean;
}

/** One failed probe may be an accident: the next follows at once. */
const MOST_FAILURES = 1;
const MOST_MISSES = 4;

export function observe(watched: Watched): { state: HealthState; reason?: string } {
  const { failures, error, calls, calls_error, misses, lease_over } = watched;
  if (lease_over) return { state: 'offline', reason: 'its lease is over; it sent no heartbeat' };
  if (misses > MOST_MISSES) return { state: 'offline', reason: `discovery did not find it ${misses} times in a row` };
  if (failures > MOST_FAILURES) return { state: 'offline', reason: error ?? 'it failed its health checks' };
  if (calls !== null) return { state: calls, reason: calls_error ?? 'its calls failed' };
  return { state: 'available' };
}

/** Of all agents together. */
export function systemHealth(agents: readonly { readonly agent_id: string; readonly state: string }[]) {
  const well: string[] = [];
  const ill: string[] = [];
  for (const { agent_id, state } of agents) (state === 'offline' || state === 'error' ? ill : well).push(agent_id);
  const all = ill.length === 0 ? 'healthy' : ill.length * 2 > agents.length ? 'degraded' : 'warning';
  return { healthy_agents: well, unhealthy_agents: ill, total_agents: agents.length, system_health: all } as const;
}

/** Those whose turn it is: who was never asked, then who was asked longest ago. However slow the others are, everybody has a turn. */
export function longestUnasked(due: readonly { readonly agent: string; readonly checked_at: Date | null }[], most: number): string[] {
  const since = ({ checked_at }: (typeof due)[number]) => checked_at?.getTime() ?? 0;
  return [...due]
    .sort((a, b) => since(a) - since(b))
    .slice(0, most)
    .map(({ agent }) => agent);
}

/** So many calls in a row must go wrong, and each time as many more do, it is told again. */
const MOST_BAD_CALLS = 3;

/** Ends that speak against the agent itself. `agent_failed` is an honest answer, `agent_busy` says that it will be well. */
const SPEAKS_AGAINST: Partial<Record<string, 'offline' | 'error'>> = {
  agent_unreachable: 'offline',
  agent_threw: 'error',
  agent_timeout: 'error',
  agent_invalid_response: 'error',
  agent_response_too_large: 'error',
};

/** `bad` calls in a row before this one: how many after it, and what is to be told now. */
export function afterCall(bad: number, code: string | null): { bad: number; tell: 'offline' | 'error' | null } {
  const against = code === null ? undefined : SPEAKS_AGAINST[code];
  if (against === undefined) return { bad: 0, tell: null };
  return { bad: bad + 1, tell: (bad + 1) % MOST_BAD_CALLS === 0 ? against : null };
}
