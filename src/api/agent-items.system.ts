/** Agents as the API shows them: the registry beside what the database knows of them. Nobody is asked anything. */
import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import { type WatchRow, watchRows } from '../agents/watch.postgres.js';
import { inFlight } from '../contracts/agent-metrics.postgres.js';
import { agentTotals } from '../contracts/tallies.follower.js';
import { Database } from '../ledger/database.postgres.js';
import { Guards } from '../orchestration/guards.system.js';
import type { AgentDetail, AgentItem, AgentStatus } from './agents.schema.js';

type Status = z.output<typeof AgentStatus>;

@Injectable()
export class AgentItems {
  constructor(
    private readonly registry: AgentRegistry,
    private readonly db: Database,
    private readonly guards: Guards,
  ) {}

  async items(agents: readonly RegisteredAgent[], tenant: string): Promise<z.output<typeof AgentItem>[]> {
    const { totals, busy, watched } = await this.around(agents, tenant);
    return agents.map((agent) => {
      const { description, protocol, endpoint, record, registered_at, source } = agent;
      const { agent_id } = description;
      return {
        ...description,
        status: this.statusOf(agent, busy),
        protocol,
        endpoint,
        registered_at,
        record,
        source: { by: source?.by ?? ('file' as const), url: source?.url ?? null, signature: source?.signature ?? null },
        last_heartbeat: watched.get(agent_id)?.healthy_at?.toISOString() ?? null,
        in_flight: busy.get(agent_id) ?? 0,
        tasks_completed: totals.get(agent_id)?.completed ?? 0,
        tasks_failed: totals.get(agent_id)?.failed ?? 0,
      };
    });
  }

  async detail(agent: RegisteredAgent, tenant: string): Promise<z.output<typeof AgentDetail>> {
    const [item] = await this.items([agent], tenant);
    const row = (await watchRows(this.db, [agent.description.agent_id])).get(agent.description.agent_id);
    return { ...item!, health: healthOf(row), lease_until: row?.lease_until?.toISOString() ?? null };
  }

  /** How all of them are. */
  async health() {
    const agents = this.registry.all();
    const [busy, watched] = [await inFlight(this.db), await watchRows(this.db, idsOf(agents))];
    return agents.map((agent) => {
      const { agent_id } = agent.description;
      return { agent_id, state: this.statusOf(agent, busy), ...healthOf(watched.get(agent_id)) };
    });
  }

  /** All of them, and what stands between this process and them where it is anything. */
  async totals() {
    const busy = await inFlight(this.db);
    const by_status: Record<Status, number> = { available: 0, busy: 0, offline: 0, error: 0, stopped: 0 };
    for (const agent of this.registry.all()) by_status[this.statusOf(agent, busy)] += 1;
    const registered = this.registry.all().map((agent) => agent.description.agent_id);
    const guarded = this.guards.all().filter(({ breaker, waiting }) => breaker !== 'closed' || waiting > 0);
    return { total: registered.length, by_status, registered, guarded };
  }

  /** Busy is not on the record: the open REQUESTs are. */
  private statusOf({ status, description }: RegisteredAgent, busy: ReadonlyMap<string, number>): Status {
    const { agent_id, max_concurrency } = description;
    if (status === 'retired') return 'stopped'; // the moment before it leaves the registry
    return status === 'available' && max_concurrency !== undefined && (busy.get(agent_id) ?? 0) >= max_concurrency ? 'busy' : status;
  }

  private async around(agents: readonly RegisteredAgent[], tenant: string) {
    const [totals, busy, watched] = [await agentTotals(this.db, tenant), await inFlight(this.db), await watchRows(this.db, idsOf(agents))];
    return { totals, busy, watched };
  }
}

const idsOf = (agents: readonly RegisteredAgent[]) => agents.map((agent) => agent.description.agent_id);

const healthOf = (row: WatchRow | undefined) => ({
  status: row?.status ?? ('unknown' as const),
  checked_at: row?.checked_at?.toISOString() ?? null,
  error: row === undefined || row.checked_at === null ? 'it was not asked yet' : row.error,
});
