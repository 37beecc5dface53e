import { Body, Controller, HttpCode, Inject, Post, Query, Res, type StreamableFile } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import type { PublishedEvent } from '../ledger/checkpoint.postgres.js';
import { Checkpoints } from '../ledger/checkpoint.worker.js';
import type { Follower } from '../orchestration/carrier.system.js';
import { Orchestrate, type OrchestrateResult } from '../orchestration/orchestrate.commands.js';
import { API_SETTINGS, type ApiSettings } from './api.settings.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { wantsEvents } from './event-writer.stream.js';
import { IdempotencyKey, type OrchestrateAnswer, OrchestrateBody, OrchestrateQuery } from './orchestrate.schema.js';
import { followed } from './orchestrate.stream.js';
import { BAD_BODY, ProblemFilter, Problems } from './problem.filter.js';

@Controller('v1')
@ApiTags('orchestrate')
export class OrchestrateController {
  constructor(
    private readonly commands: CommandBus,
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
    private readonly problems: ProblemFilter,
    private readonly checkpoints: Checkpoints,
  ) {}

  @Post('orchestrate')
  @Needs('orchestrate')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Have a task done',
    description:
      'Chooses an agent, records the REQUEST, calls the agent, records the RESPONSE, answers. A task that fails, or that nobody can do, was recorded: it answers ' +
      '200 with `success: false`.\n\nWith `Accept: text/event-stream` events tell what happens while it runs, and the last one brings the answer. Who hangs up ' +
      'on them cancels the call; who hangs up without them does not.\n\nWith `plan` several calls are made under one task; `data` is then a PlanResult.',
  })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'The same key and body give the recorded answer again, however often',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  })
  @ApiHeader({
    name: 'traceparent',
    required: false,
    description: 'W3C Trace Context; its trace id is recorded and passed on',
    schema: { type: 'string' },
  })
  @ApiOkResponse({
    description: 'It is on the record',
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/OrchestrateAnswer' } },
      'text/event-stream': { schema: { $ref: '#/components/schemas/OrchestrateEvent' } },
    },
  })
  @Problems(...BAD_BODY, 'not_found', 'session_closed', 'key_conflict', 'key_in_flight', 'erased', 'llm_unavailable')
  @Problems('ledger_unavailable', 'overloaded', 'shutting_down')
  orchestrate(
    @Query({ schema: OrchestrateQuery }) { wait }: z.output<typeof OrchestrateQuery>,
    @Body({ schema: OrchestrateBody }) body: z.output<typeof OrchestrateBody>,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.output<typeof OrchestrateAnswer> | StreamableFile> {
    const { headers } = reply.request;
    const key = IdempotencyKey.safeParse(headers['idempotency-key']);
    if (!key.success) throw new OrchestratorError('invalid_request', 'Idempotency-Key must have 1 to 255 characters');
    const request = {
      ...body,
      parameters: body.parameters ?? {},
      context: body.context ?? {},
      timeout_seconds: body.timeout_seconds ?? this.settings.TASK_TIMEOUT_SECONDS,
    };
    const run = (follower?: Follower) => {
      const answer = this.commands.execute(new Orchestrate(caller, request, key.data, follower));
      return wait === undefined ? answer : this.whenPublished(answer);
    };
    if (!wantsEvents(headers.accept)) return run();
    void reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no');
    return followed(run, reply.raw, (error) => this.problems.problemOf(error, reply.request, reply));
  }

  private async whenPublished(answer: Promise<OrchestrateResult>): Promise<OrchestrateResult & { published: PublishedEvent | null }> {
    const told = await answer;
    return { ...told, published: await this.checkpoints.published(told.receipt) };
  }
}
