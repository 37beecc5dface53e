/** What an operator sees of the forwarding to Trace, and can ask of it. It concerns every tenant, so it needs the scope of an auditor. */
import { Body, Controller, Get, HttpCode, Post } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { Replay, RetryParked } from '../audit/forwarding.commands.js';
import { AuditTrace } from '../audit/trace-audit.queries.js';
import { sessionNames } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Workers } from '../kernel/worker.js';
import { Database } from '../ledger/database.postgres.js';
import { followers } from '../ledger/follow.postgres.js';
import { parkedStreams } from '../ledger/park.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { integrationStatus } from './integration-status.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { ReplayBody, Replayed, Retried, RetryParkedBody, TraceAuditBody, TraceAuditResult, TraceStatus } from './trace.schema.js';

const TRACE = 'trace';
const SHOWN = 100;

@Controller('v1/trace')
@ApiTags('trace')
export class TraceController {
  constructor(
    private readonly db: Database,
    private readonly workers: Workers,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Needs('audit')
  @ApiOperation({ summary: 'How is the forwarding to Trace?', description: 'Its lag, and every session that waits behind an event.' })
  @ApiOkResponse({ description: 'Now', standardSchema: TraceStatus })
  @Problems('ledger_unavailable')
  async traceStatus(): Promise<z.output<typeof TraceStatus>> {
    const status = integrationStatus(TRACE, await followers(this.db), this.workers.status());
    const parked = (await parkedStreams(this.db, TRACE)).slice(0, SHOWN);
    const names = await sessionNames(
      this.db,
      parked.map(({ stream }) => stream),
    );
    const waiting_streams = parked.map(({ stream, from_idx, since, error, tries, retry_at }) => ({
      session_id: names.get(stream) ?? null,
      stream,
      from_idx,
      since: since.toISOString(),
      error,
      tries,
      retry_at: retry_at?.toISOString() ?? null,
    }));
    return { ...status, waiting_streams };
  }

  @Post('retry-parked')
  @Needs('audit')
  @HttpCode(200)
  @ApiOperation({ summary: 'Try parked sessions again', description: 'Whoever forwards tries them next, each from the event it waits at.' })
  @ApiBody({ required: false })
  @ApiOkResponse({ description: 'They are tried now', standardSchema: Retried })
  @Problems(...BAD_BODY, 'not_found')
  @Problems('integration_off', 'ledger_unavailable')
  async retryParked(
    @Body({ schema: RetryParkedBody }) body: z.output<typeof RetryParkedBody>,
    @CurrentCaller() { tenant }: Caller,
  ): Promise<z.output<typeof Retried>> {
    this.mustBeOn();
    const session = body?.session_id;
    return this.commands.execute(new RetryParked(TRACE, session === undefined ? undefined : { tenant, session }));
  }

  @Post('replay')
  @Needs('audit')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send to Trace again', description: 'Safe: the events have the ids they had, and Trace dedupes by them.' })
  @ApiOkResponse({ description: 'It begins now', standardSchema: Replayed })
  @Problems(...BAD_BODY, 'not_found')
  @Problems('integration_off', 'ledger_unavailable')
  async replay(
    @Body({ schema: ReplayBody }) { session_id: session, from }: z.output<typeof ReplayBody>,
    @CurrentCaller() { tenant }: Caller,
  ): Promise<z.output<typeof Replayed>> {
    this.mustBeOn();
    return this.commands.execute(new Replay(TRACE, session === undefined ? { from: from! } : { tenant, session }));
  }

  @Post('audit')
  @Needs('audit')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Compare Trace with the ledger',
    description: 'Reads the session back from Trace and names what is missing, repeated, different or unknown.',
  })
  @ApiOkResponse({ description: 'What was found', standardSchema: TraceAuditResult })
  @Problems(...BAD_BODY, 'not_found')
  @Problems('integration_off', 'integration_unavailable', 'ledger_unavailable')
  async auditTrace(
    @Body({ schema: TraceAuditBody }) { session_id }: z.output<typeof TraceAuditBody>,
    @CurrentCaller() { tenant }: Caller,
  ): Promise<z.output<typeof TraceAuditResult>> {
    this.mustBeOn();
    return this.queries.execute(new AuditTrace(tenant, session_id));
  }

  private mustBeOn(): void {
    if (`follower ${TRACE}` in this.workers.status()) return;
    throw new OrchestratorError('integration_off', 'no Trace is connected: set TRACE_URL and start again');
  }
}
