/** What an operator sees of the forwarding to Trace, and can ask of it. It concerns every tenant, so it needs the scope of an auditor. */
import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
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
import { AuditQuery, ReplayBody, RetryParkedBody } from './trace.schema.js';

const TRACE = 'trace';
const SHOWN = 100;

@Controller('v1/trace')
export class TraceController {
  constructor(
    private readonly db: Database,
    private readonly workers: Workers,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Needs('audit')
  async status() {
    const status = integrationStatus(TRACE, await followers(this.db), this.workers.status());
    const parked = (await parkedStreams(this.db, TRACE)).slice(0, SHOWN);
    const names = await sessionNames(
      this.db,
      parked.map(({ stream }) => stream),
    );
    const streams = parked.map(({ due: _, ...one }) => ({ session_id: names.get(one.stream) ?? null, ...one }));
    return { ...status, waiting_streams: streams };
  }

  @Post('retry-parked')
  @Needs('audit')
  @HttpCode(200)
  retryParked(@Body({ schema: RetryParkedBody }) body: z.output<typeof RetryParkedBody>, @CurrentCaller() { tenant }: Caller) {
    this.mustBeOn();
    const session = body?.session_id;
    return this.commands.execute(new RetryParked(TRACE, session === undefined ? undefined : { tenant, session }));
  }

  @Post('replay')
  @Needs('audit')
  @HttpCode(200)
  replay(@Body({ schema: ReplayBody }) { session_id: session, from }: z.output<typeof ReplayBody>, @CurrentCaller() { tenant }: Caller) {
    this.mustBeOn();
    return this.commands.execute(new Replay(TRACE, session === undefined ? { from: from! } : { tenant, session }));
  }

  @Get('audit')
  @Needs('audit')
  audit(@Query({ schema: AuditQuery }) { session_id }: z.output<typeof AuditQuery>, @CurrentCaller() { tenant }: Caller) {
    return this.queries.execute(new AuditTrace(tenant, session_id));
  }

  private mustBeOn(): void {
    if (`follower ${TRACE}` in this.workers.status()) return;
    throw new OrchestratorError('integration_off', 'no Trace is connected: set TRACE_URL and start again');
  }
}
