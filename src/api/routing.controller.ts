import { Body, Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { GetContract } from '../contracts/contracts.queries.js';
import type { Caller } from '../kernel/principal.js';
import { codeOf } from '../orchestration/attempts.system.js';
import { unfitInput } from '../orchestration/fit.system.js';
import { explain } from '../routing/explain.js';
import { Router } from '../routing/router.system.js';
import { API_SETTINGS, type ApiSettings } from './api.settings.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { ContractId } from './contracts.schema.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { Explanation, RouteAnswer, RouteBody } from './routing.schema.js';

@Controller('v1')
@ApiTags('routing')
export class RoutingController {
  constructor(
    private readonly router: Router,
    private readonly queries: QueryBus,
    @Inject(API_SETTINGS) private readonly settings: ApiSettings,
  ) {}

  @Post('route')
  @Needs('orchestrate')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Ask who would get a task',
    description:
      'The same decision `POST /v1/orchestrate` would take now, in the same code; no agent is called and nothing is recorded. A language model is asked where it ' +
      'would be asked there, unless `strategy` is `simple`.',
  })
  @ApiOkResponse({ description: 'The decision', standardSchema: RouteAnswer })
  @Problems(...BAD_BODY, 'ledger_unavailable')
  async route(
    @Body({ schema: RouteBody }) body: z.output<typeof RouteBody>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof RouteAnswer>> {
    const { strategy, parameters = {}, ...wish } = body;
    const began = performance.now();
    const deadline = Date.now() + this.settings.TASK_TIMEOUT_SECONDS * 1000;
    const decision = await this.router.look({ ...wish, parameters, deadline }, caller.tenant, strategy);
    const { ranked, refused, evidence } = decision;
    const [choice] = ranked;
    const given = choice?.parameters ?? parameters;
    const unfit = choice && unfitInput(choice.agent, choice.capability, given);
    const error = refused ?? unfit?.message ?? null;
    const who = { agent_id: choice?.agent.description.agent_id ?? null, capability: choice?.capability ?? null };
    return {
      ...who,
      parameters: given,
      ranked: ranked.map(({ agent, capability }) => ({ agent_id: agent.description.agent_id, capability })),
      error,
      error_code: unfit?.code ?? (choice ? null : codeOf(decision)),
      routing: evidence,
      explanation: explain(evidence, { ...who, error }).join('\n'),
      decision_ms: Math.round((performance.now() - began) * 1000) / 1000,
    };
  }

  @Get('contracts/:id/explain')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Why this agent got it', description: 'From the record, for the id of either half.' })
  @ApiOkResponse({ description: 'The recorded decision', standardSchema: Explanation })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  async explain(@Param('id', { schema: ContractId }) id: string, @CurrentCaller() caller: Caller): Promise<z.output<typeof Explanation>> {
    const { request } = await this.queries.execute(new GetContract(caller.tenant, id));
    const { contract_id, session_id, task_id, to_agent: agent_id, capability, status, error, error_code, metadata } = request;
    const routing = metadata['routing'] ?? null;
    const explanation = explain(routing, { agent_id, capability, error }).join('\n');
    return {
      contract_id,
      session_id,
      task_id,
      asked: metadata['asked'] ?? null,
      agent_id,
      capability,
      status,
      error_code,
      routing,
      explanation,
    };
  }
}
