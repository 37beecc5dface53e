import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { z } from 'zod';
import { CloseSession } from '../contracts/contracts.commands.js';
import { GetContract, ListContracts } from '../contracts/contracts.queries.js';
import type { Caller } from '../kernel/principal.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { CloseQuery, ContractId, ContractsQuery, SessionId } from './orchestrate.schema.js';

@Controller('v1')
export class ContractsController {
  constructor(
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
  ) {}

  @Get('contracts')
  @Needs('contracts:read')
  async list(@Query({ schema: ContractsQuery }) query: z.output<typeof ContractsQuery>, @CurrentCaller() caller: Caller) {
    const { session_id, limit, cursor, ...filter } = query;
    const page = await this.queries.execute(new ListContracts(caller.tenant, session_id, filter, { limit, cursor }));
    const { total_exact, ...rest } = page;
    return { ...(session_id !== undefined && { session_id }), ...rest, ...(!total_exact && { total_exact }) };
  }

  @Get('contracts/:id')
  @Needs('contracts:read')
  get(@Param('id', { schema: ContractId }) id: string, @CurrentCaller() caller: Caller) {
    return this.queries.execute(new GetContract(caller.tenant, id));
  }

  @Post('sessions/:id/close')
  @Needs('orchestrate')
  @HttpCode(200)
  close(
    @Param('id', { schema: SessionId }) session: string,
    @Query({ schema: CloseQuery }) { cancel }: z.output<typeof CloseQuery>,
    @CurrentCaller() caller: Caller,
  ) {
    return this.commands.execute(new CloseSession(caller.tenant, session, cancel === 'true'));
  }
}
