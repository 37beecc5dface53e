import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { AgentRegistry } from '../agents/directory.js';
import { contractTotals } from '../contracts/tallies.follower.js';
import { type LedgerReadings, Metrics } from '../kernel/metrics.system.js';
import { Database } from '../ledger/database.postgres.js';
import { followers } from '../ledger/follow.postgres.js';
import { Instance } from '../ledger/instance.worker.js';
import { countOpen } from '../ledger/open-request.postgres.js';
import { ledgerSize } from '../ledger/sequence.postgres.js';
import { Calls } from '../orchestration/calls.system.js';
import { Guards } from '../orchestration/guards.system.js';
import { Needs } from './auth.guard.js';
import { VERSION } from './version.js';

/** The database has this long to answer; without it the scrape tells what the process knows. */
const PATIENCE_MS = 2000;

@Controller()
@ApiTags('status')
export class MetricsController {
  private reading: Promise<LedgerReadings | null> | null = null;

  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
    private readonly calls: Calls,
    private readonly guards: Guards,
    private readonly instance: Instance,
    private readonly metrics: Metrics,
  ) {}

  @Get('metrics')
  @Needs('audit')
  @ApiOperation({
    summary: 'Metrics for Prometheus',
    description: 'Of this process and of the ledger, all tenants together. docs/operations.md explains each.',
  })
  @ApiOkResponse({ description: 'Text format of Prometheus', content: { 'text/plain': { schema: { type: 'string' } } } })
  @Header('content-type', Metrics.contentType)
  async scrape(): Promise<string> {
    const ledger = await this.readInTime();
    return this.metrics.text({
      version: VERSION,
      activeAgents: this.registry.all().length,
      tasksInFlight: this.calls.count,
      tasksWaiting: this.calls.waiting,
      breakers: this.guards.all(),
      dispatching: this.instance.fit,
      ledger,
    });
  }

  private async readInTime(): Promise<LedgerReadings | null> {
    // One reading at a time: scrapes of a database that hangs do not pile up on its connections.
    this.reading ??= this.read()
      .catch(() => null)
      .finally(() => {
        this.reading = null;
      });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS, null);
    });
    return Promise.race([this.reading, late]).finally(() => clearTimeout(timer));
  }

  private async read(): Promise<LedgerReadings> {
    const [{ pending }, following, openRequests, { total_sessions, by_status }] = await Promise.all([
      ledgerSize(this.db),
      followers(this.db),
      countOpen(this.db),
      contractTotals(this.db, null),
    ]);
    return { sessions: total_sessions, contracts: by_status, openRequests, pending, followers: following };
  }
}
