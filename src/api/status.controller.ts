import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { contractTotals } from '../contracts/tallies.follower.js';
import type { Caller } from '../kernel/principal.js';
import { Workers } from '../kernel/worker.js';
import { Database } from '../ledger/database.postgres.js';
import { followers } from '../ledger/follow.postgres.js';
import { Instance } from '../ledger/instance.worker.js';
import { countOpen } from '../ledger/open-request.postgres.js';
import { ledgerSize } from '../ledger/sequence.postgres.js';
import { Calls } from '../orchestration/calls.system.js';
import { AgentItems } from './agent-items.system.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { allHealthy, integrationStatus } from './integration-status.js';
import { Problems } from './problem.filter.js';
import { selfCheckStatus } from './self-check-status.js';
import { Status } from './status.schema.js';
import { VERSION } from './version.js';

const STARTED = new Date().toISOString();

@Controller('v1/status')
@ApiTags('status')
export class StatusController {
  constructor(
    private readonly db: Database,
    private readonly shown: AgentItems,
    private readonly workers: Workers,
    private readonly instance: Instance,
    private readonly calls: Calls,
  ) {}

  @Get()
  @Needs('contracts:read')
  @ApiOperation({
    summary: 'How are things?',
    description: 'Size of the ledger, lag of its followers, and what each worker of this process does.',
  })
  @ApiOkResponse({ description: 'Now', standardSchema: Status })
  @Problems('ledger_unavailable')
  async status(@CurrentCaller() caller: Caller): Promise<z.output<typeof Status>> {
    const [size, following, open, totals] = await Promise.all([
      ledgerSize(this.db),
      followers(this.db),
      countOpen(this.db),
      contractTotals(this.db, caller.tenant),
    ]);
    const workers = this.workers.status();
    const self_check = selfCheckStatus(workers);
    const [memagent, trace] = [integrationStatus('memagent', following, workers), integrationStatus('trace', following, workers)];
    return {
      orchestrator: {
        status: this.instance.fit && self_check.sound ? 'running' : 'degraded',
        version: VERSION,
        started_at: STARTED,
        database: this.db.embedded ? 'embedded' : 'postgresql',
        in_flight: this.calls.count,
        waiting: this.calls.waiting,
        most_in_flight: this.calls.most,
      },
      agents: await this.shown.totals(),
      contracts: totals,
      integrations: { memagent, trace, all_healthy: allHealthy(memagent, trace) },
      ledger: {
        events: size.sequenced + size.pending,
        sequenced: size.sequenced,
        pending: size.pending,
        last_sequenced_at: size.sequenced_at,
        open_requests: open,
      },
      self_check,
      followers: following,
      parked: following.reduce((sum, f) => sum + f.parked, 0),
      workers,
    };
  }
}
