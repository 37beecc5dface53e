/** Erasing payload, and the legal holds that forbid it. */
import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { EraseSession } from '../audit/erase.commands.js';
import { ListHolds, PlaceHold, ReleaseHold } from '../audit/holds.commands.js';
import type { Caller } from '../kernel/principal.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { EraseBody, Erased, EraseQuery, Hold, HoldBody, HoldId, HoldReleased, Holds, ReleaseBody } from './erasure.schema.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { SessionId } from './words.schema.js';

@Controller('v1')
@ApiTags('erasure')
export class ErasureController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('sessions/:id/erase')
  @Needs('erase')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Erase a session, contracts of it, or fields of them',
    description:
      'Deletes the payload; the record stays, verifies, and says that it was erased and why. A whole session is closed and loses its name and its keys. Answered when it is done.',
  })
  @ApiOkResponse({ description: 'What was erased here, who is told, and what is out of reach', standardSchema: Erased })
  @Problems(...BAD_BODY, 'not_found', 'session_busy', 'legal_hold')
  @Problems('ledger_unavailable', 'overloaded')
  eraseSession(
    @Param('id', { schema: SessionId }) session: string,
    @Body({ schema: EraseBody }) body: z.output<typeof EraseBody>,
    @Query({ schema: EraseQuery }) { cancel }: z.output<typeof EraseQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof Erased>> {
    return this.commands.execute(new EraseSession(caller, { session, ...body, cancel: cancel === 'true' }));
  }

  @Get('holds')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'List the legal holds that stand' })
  @ApiOkResponse({ description: 'Oldest first', standardSchema: Holds })
  @Problems('ledger_unavailable')
  async listHolds(@CurrentCaller() { tenant }: Caller): Promise<z.output<typeof Holds>> {
    return { holds: await this.queries.execute(new ListHolds(tenant)) };
  }

  @Post('holds')
  @Needs('erase')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Place a legal hold',
    description: 'Until it is released nothing of the session, or of the tenant, is erased, neither by request nor by age.',
  })
  @ApiOkResponse({ description: 'It stands', standardSchema: Hold })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable', 'overloaded')
  placeHold(@Body({ schema: HoldBody }) body: z.output<typeof HoldBody>, @CurrentCaller() caller: Caller): Promise<z.output<typeof Hold>> {
    const { session_id: session, ...why } = body;
    return this.commands.execute(new PlaceHold(caller, session, why));
  }

  @Post('holds/:id/release')
  @Needs('erase')
  @HttpCode(200)
  @ApiOperation({ summary: 'Release a legal hold' })
  @ApiOkResponse({ description: 'It stands no more', standardSchema: HoldReleased })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable', 'overloaded')
  releaseHold(
    @Param('id', { schema: HoldId }) hold: string,
    @Body({ schema: ReleaseBody }) why: z.output<typeof ReleaseBody>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof HoldReleased>> {
    return this.commands.execute(new ReleaseHold(caller, hold, why));
  }
}
