/** What an operator can ask of the forwarding of memory blocks to MemAgent. It concerns every tenant, so it needs the scope of an auditor. */
import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { RetryParked } from '../audit/forwarding.commands.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Workers } from '../kernel/worker.js';
import { MEMAGENT } from '../memory/blocks.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { Problems } from './problem.filter.js';
import { Retried, RetryParkedBody } from './trace.schema.js';

@Controller('v1/memagent')
@ApiTags('memory')
export class MemAgentController {
  constructor(
    private readonly workers: Workers,
    private readonly commands: CommandBus,
  ) {}

  @Post('retry-parked')
  @Needs('audit')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Pass refused memory blocks on again',
    description: 'Of sessions MemAgent refused and that were set aside for it, each from the block it waits at.',
  })
  @ApiBody({ required: false })
  @ApiOkResponse({ description: 'They are tried now', standardSchema: Retried })
  @Problems('invalid_json', 'invalid_request', 'not_found', 'payload_too_large', 'unsupported_media_type')
  @Problems('integration_off', 'ledger_unavailable')
  async retryParked(
    @Body({ schema: RetryParkedBody }) body: z.output<typeof RetryParkedBody>,
    @CurrentCaller() { tenant }: Caller,
  ): Promise<z.output<typeof Retried>> {
    if (!(`follower ${MEMAGENT}` in this.workers.status()))
      throw new OrchestratorError('integration_off', 'no MemAgent is connected: set MEMAGENT_URL and start again');
    const session = body?.session_id;
    return this.commands.execute(new RetryParked(MEMAGENT, session === undefined ? undefined : { tenant, session }));
  }
}
