import type { IncomingHttpHeaders } from 'node:http';
import { Body, Controller, Headers, HttpCode, Inject, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Orchestrate } from '../orchestration/orchestrate.commands.js';
import { API_SETTINGS, type ApiSettings } from './api.settings.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { IdempotencyKey, OrchestrateAnswer, OrchestrateBody } from './orchestrate.schema.js';
import { Problems } from './problem.filter.js';

@Controller('v1')
@ApiTags('orchestrate')
export class OrchestrateController {
  constructor(
    private readonly commands: CommandBus,
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
  ) {}

  @Post('orchestrate')
  @Needs('orchestrate')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Have a task done',
    description:
      'Chooses an agent, records the REQUEST, calls the agent, records the RESPONSE, answers. A task that fails, or that nobody can do, was recorded: it answers ' +
      '200 with `success: false`.',
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
  @ApiOkResponse({ description: 'It is on the record', standardSchema: OrchestrateAnswer })
  @Problems(
    'invalid_json',
    'invalid_request',
    'session_closed',
    'key_conflict',
    'key_in_flight',
    'payload_too_large',
    'unsupported_media_type',
  )
  @Problems('ledger_unavailable', 'overloaded', 'shutting_down')
  orchestrate(
    @Body({ schema: OrchestrateBody }) body: z.output<typeof OrchestrateBody>,
    @Headers() headers: IncomingHttpHeaders,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof OrchestrateAnswer>> {
    const key = IdempotencyKey.safeParse(headers['idempotency-key']);
    if (!key.success) throw new OrchestratorError('invalid_request', 'Idempotency-Key must have 1 to 255 characters');
    const request = {
      ...body,
      parameters: body.parameters ?? {},
      context: body.context ?? {},
      timeout_seconds: body.timeout_seconds ?? this.settings.TASK_TIMEOUT_SECONDS,
    };
    return this.commands.execute(new Orchestrate(caller, request, key.data));
  }
}
