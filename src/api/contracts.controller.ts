import type { IncomingHttpHeaders } from 'node:http';
import { Controller, Get, Headers, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { z } from 'zod';
import { CloseSession } from '../contracts/contracts.commands.js';
import { GetContract, ListContracts } from '../contracts/contracts.queries.js';
import { callerOf } from './caller.js';
import { CloseQuery, ContractId, ContractsQuery, SessionId } from './orchestrate.schema.js';

@Controller('v1')
export class ContractsController {
  constructor(
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
  ) {}

  @Get('contracts')
  async list(@Query({ schema: ContractsQuery }) query: z.output<typeof ContractsQuery>, @Headers() headers: IncomingHttpHeaders) {
    const { session_id, limit, cursor, ...filter } = query;
    const page = await this.queries.execute(new ListContracts(callerOf(headers).tenant, session_id, filter, { limit, cursor }));
    const { total_exact, ...rest } = page;
    return { ...(session_id !== undefined && { session_id }), ...rest, ...(!total_exact && { total_exact }) };
  }

  @Get('contracts/:id')
  get(@Param('id', { schema: ContractId }) id: string, @Headers() headers: IncomingHttpHeaders) {
    return this.queries.execute(new GetContract(callerOf(headers).tenant, id));
  }

  @Post('sessions/:id/close')
  @HttpCode(200)
  close(
    @Param('id', { schema: SessionId }) session: string,
    @Query({ schema: CloseQuery }) { cancel }: z.output<typeof CloseQuery>,
    @Headers() headers: IncomingHttpHeaders,
  ) {
    return this.commands.execute(new CloseSession(callerOf(headers).tenant, session, cancel === 'true'));
  }
}
