import { Controller, Get } from '@nestjs/common';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import { contractTotals } from '../contracts/tallies.follower.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Workers } from '../kernel/worker.js';
import { Database } from '../ledger/database.postgres.js';
import { followers } from '../ledger/follow.postgres.js';
import { Instance } from '../ledger/instance.worker.js';
import { countOpen } from '../ledger/open-request.postgres.js';
import { ledgerSize } from '../ledger/sequence.postgres.js';
import { Calls } from '../orchestration/calls.system.js';
import { CurrentCaller, Needs, OpenToAll } from './auth.guard.js';
import { allHealthy, integrationStatus } from './integration-status.js';

const VERSION = '0.1.0';
const STARTED = new Date().toISOString();

@Controller('v1')
export class StatusController {
  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
    private readonly workers: Workers,
    private readonly instance: Instance,
    private readonly calls: Calls,
  ) {}

  @Get('health')
  @OpenToAll()
  async health() {
    try {
      await this.db.query('SELECT 1');
    } catch (error) {
      throw new OrchestratorError('ledger_unavailable', `the database does not answer: ${(error as Error).message}`, { retryAfter: 5 });
    }
    return {
      status: this.instance.fit ? 'healthy' : 'degraded',
      service: 'agent-orchestrator',
      version: VERSION,
      timestamp: new Date().toISOString(),
    };
  }

  @Get('agents')
  @Needs('contracts:read')
  agents() {
    const agents = this.registry.all().map(toItem);
    return { agents, total: agents.length };
  }

  @Get('status')
  @Needs('contracts:read')
  async status(@CurrentCaller() caller: Caller) {
    const [size, following, open, totals] = await Promise.all([
      ledgerSize(this.db),
      followers(this.db),
      countOpen(this.db),
      contractTotals(this.db, caller.tenant),
    ]);
    const agents = this.registry.all();
    const trace = integrationStatus('trace', following, this.workers.status());
    return {
      orchestrator: {
        status: this.instance.fit ? 'running' : 'degraded',
        version: VERSION,
        started_at: STARTED,
        database: this.db.embedded ? 'embedded' : 'postgresql',
        in_flight: this.calls.count,
      },
      agents: { total: agents.length, by_status: { available: agents.length }, registered: agents.map((a) => a.description.agent_id) },
      contracts: totals,
      integrations: { memagent: { status: 'off' as const }, trace, all_healthy: allHealthy(trace) },
      ledger: {
        events: size.sequenced + size.pending,
        sequenced: size.sequenced,
        pending: size.pending,
        last_sequenced_at: size.sequenced_at,
        open_requests: open,
      },
      followers: following,
      parked: following.reduce((sum, f) => sum + f.parked, 0),
      workers: this.workers.status(),
    };
  }
}

function toItem(agent: RegisteredAgent) {
  const { description, protocol, endpoint, record, registered_at } = agent;
  return { ...description, status: 'available', protocol, endpoint, registered_at, record };
}
