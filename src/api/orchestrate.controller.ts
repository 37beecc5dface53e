import type { IncomingHttpHeaders } from 'node:http';
import { Body, Controller, Headers, HttpCode, Inject, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Orchestrate, type OrchestrateResult } from '../orchestration/orchestrate.commands.js';
import { API_SETTINGS, type ApiSettings } from './api.settings.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { IdempotencyKey, OrchestrateBody } from './orchestrate.schema.js';

@Controller('v1')
export class OrchestrateController {
  constructor(
    private readonly commands: CommandBus,
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
  ) {}

  @Post('orchestrate')
  @Needs('orchestrate')
  @HttpCode(200)
  orchestrate(
    @Body({ schema: OrchestrateBody }) body: z.output<typeof OrchestrateBody>,
    @Headers() headers: IncomingHttpHeaders,
    @CurrentCaller() caller: Caller,
  ): Promise<OrchestrateResult> {
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
