import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { SelfCheck } from '../audit/self-check.worker.js';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { Instance } from '../ledger/instance.worker.js';
import { Calls } from '../orchestration/calls.system.js';
import { OpenToAll } from './auth.guard.js';
import { Problems } from './problem.filter.js';
import { Health, Live, Ready } from './status.schema.js';
import { VERSION } from './version.js';

const PATIENCE_MS = 3000;

@Controller('v1/health')
@OpenToAll()
@ApiTags('status')
export class HealthController {
  constructor(
    private readonly db: Database,
    private readonly instance: Instance,
    private readonly calls: Calls,
    private readonly selfCheck: SelfCheck,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'Is it well?',
    description:
      '`degraded`: this process lost touch with the database and stopped dispatching, or the ledger did not pass its self-check (`VERIFY_INTERVAL`).',
  })
  @ApiOkResponse({ description: 'The database answers', standardSchema: Health })
  @Problems('ledger_unavailable')
  async health(): Promise<z.output<typeof Health>> {
    await this.databaseAnswers();
    return is(this.instance.fit && this.selfCheck.sound ? 'healthy' : 'degraded');
  }

  @Get('live')
  @ApiOperation({ summary: 'Does the process run?', description: 'Never touches the database. If this does not answer, start it again.' })
  @ApiOkResponse({ description: 'It runs', standardSchema: Live })
  live(): z.output<typeof Live> {
    return is('alive');
  }

  @Get('ready')
  @ApiOperation({ summary: 'Does it take work?', description: 'If not, send the work to another replica; it comes back by itself.' })
  @ApiOkResponse({ description: 'It does', standardSchema: Ready })
  @Problems('ledger_unavailable', 'shutting_down')
  async ready(): Promise<z.output<typeof Ready>> {
    if (this.calls.draining) throw new OrchestratorError('shutting_down', 'the orchestrator is shutting down', { retryAfter: 5 });
    await this.databaseAnswers();
    if (!this.instance.fit) {
      throw new OrchestratorError('ledger_unavailable', 'this process lost touch with its database and dispatches nothing', {
        retryAfter: 5,
      });
    }
    return is('ready');
  }

  private databaseAnswers(): Promise<unknown> {
    return this.db.namedWithin(PATIENCE_MS, { name: 'health', text: 'SELECT 1', values: [] });
  }
}

const is = <S extends string>(status: S) => ({
  status,
  service: 'agent-orchestrator' as const,
  version: VERSION,
  timestamp: new Date().toISOString(),
});
