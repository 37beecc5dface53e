import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { CloseSession } from '../contracts/contracts.commands.js';
import { GetSession, ListSessions } from '../contracts/sessions.queries.js';
import type { Caller } from '../kernel/principal.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { CloseQuery, SessionClosed, SessionItem, SessionsPage, SessionsQuery } from './sessions.schema.js';
import { SessionId } from './words.schema.js';

@Controller('v1/sessions')
@ApiTags('sessions')
export class SessionsController {
  constructor(
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
  ) {}

  @Get()
  @Needs('contracts:read')
  @ApiOperation({ summary: 'List sessions', description: 'Newest first. Pages stay put while sessions come and go on.' })
  @ApiOkResponse({ description: 'One page', standardSchema: SessionsPage })
  @Problems('invalid_request', 'ledger_unavailable')
  listSessions(
    @Query({ schema: SessionsQuery }) page: z.output<typeof SessionsQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof SessionsPage>> {
    return this.queries.execute(new ListSessions(caller.tenant, page));
  }

  @Get(':id')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Read a session' })
  @ApiOkResponse({ description: 'The session', standardSchema: SessionItem })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  getSession(@Param('id', { schema: SessionId }) session: string, @CurrentCaller() caller: Caller): Promise<z.output<typeof SessionItem>> {
    return this.queries.execute(new GetSession(caller.tenant, session));
  }

  @Post(':id/close')
  @Needs('orchestrate')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Close a session',
    description: 'Seals its stream: the record of the seal names the last event and its hash. Afterwards the session takes no more work.',
  })
  @ApiOkResponse({ description: 'It is closed', standardSchema: SessionClosed })
  @Problems(...BAD_BODY, 'not_found', 'session_busy', 'session_closed', 'ledger_unavailable', 'overloaded')
  closeSession(
    @Param('id', { schema: SessionId }) session: string,
    @Query({ schema: CloseQuery }) { cancel }: z.output<typeof CloseQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof SessionClosed>> {
    return this.commands.execute(new CloseSession(caller.tenant, session, cancel === 'true'));
  }
}
