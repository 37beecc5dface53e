import { Controller, Get, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { GetAgentThen } from '../agents/agent-history.queries.js';
import { type AgentState, isRegistered, statusOf } from '../agents/agent-state.js';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import { systemHealth } from '../agents/health.js';
import { unknown } from '../agents/ownership.js';
import { agentDurations, inFlight } from '../contracts/agent-metrics.postgres.js';
import { agentTotals } from '../contracts/tallies.follower.js';
import type { JsonValue } from '../kernel/json.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { AgentItems } from './agent-items.system.js';
import {
  AgentDetail,
  AgentIdParam,
  AgentMetrics,
  AgentQuery,
  AgentsHealth,
  AgentsPage,
  AgentThen,
  CapabilitiesPage,
} from './agents.schema.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { Problems } from './problem.filter.js';

const Agent = z.union([AgentDetail, AgentThen]);

/** Reading never calls an agent. */
@Controller('v1')
@ApiTags('agents')
export class AgentsController {
  constructor(
    private readonly registry: AgentRegistry,
    private readonly shown: AgentItems,
    private readonly queries: QueryBus,
    private readonly db: Database,
  ) {}

  @Get('agents')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'List agents', description: 'Those of the agents file in its order, then the registered ones by id.' })
  @ApiOkResponse({ description: 'All of them', standardSchema: AgentsPage })
  @Problems('ledger_unavailable')
  async listAgents(@CurrentCaller() caller: Caller): Promise<z.output<typeof AgentsPage>> {
    const agents = await this.shown.items(this.registry.all(), caller.tenant);
    return { agents, total: agents.length };
  }

  @Get('agents/health')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'How are the agents?', description: 'What the latest probes and calls say. Asks none of them.' })
  @ApiOkResponse({ description: 'One line for each, and all together', standardSchema: AgentsHealth })
  @Problems('ledger_unavailable')
  async agentsHealth(): Promise<z.output<typeof AgentsHealth>> {
    const agents = await this.shown.health();
    return { ...systemHealth(agents), agents, total: agents.length };
  }

  @Get('agents/:id')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Read an agent', description: 'As it is; with `at`, or when it has retired, as the record has it.' })
  @ApiOkResponse({ description: 'The agent', standardSchema: Agent })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  async getAgent(
    @Param('id', { schema: AgentIdParam }) id: string,
    @Query({ schema: AgentQuery }) { at }: z.output<typeof AgentQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof Agent>> {
    const agent = this.registry.get(id);
    if (agent && at === undefined) return this.shown.detail(agent, caller.tenant);
    const then = await this.queries.execute(new GetAgentThen(id, at));
    return asItWas(then.state, then.at);
  }

  @Get('agents/:id/metrics')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'How an agent has done', description: 'Counted and measured from the record, so a restart forgets nothing.' })
  @ApiOkResponse({ description: 'In numbers', standardSchema: AgentMetrics })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  async agentMetrics(
    @Param('id', { schema: AgentIdParam }) id: string,
    @CurrentCaller() { tenant }: Caller,
  ): Promise<z.output<typeof AgentMetrics>> {
    if (!this.registry.get(id)) throw unknown(id);
    const totals = (await agentTotals(this.db, tenant)).get(id);
    const { requested = 0, completed = 0, failed = 0, cancelled = 0 } = totals ?? {};
    const ended = completed + failed + cancelled;
    return {
      agent_id: id,
      requests: requested,
      completed,
      failed,
      cancelled,
      success_rate: ended === 0 ? null : completed / ended,
      in_flight: (await inFlight(this.db)).get(id) ?? 0,
      ...(await agentDurations(this.db, tenant, id)),
    };
  }

  @Get('capabilities')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'List capabilities', description: 'By name, each with the agents that offer it and their schemas.' })
  @ApiOkResponse({ description: 'All of them', standardSchema: CapabilitiesPage })
  listCapabilities(): z.output<typeof CapabilitiesPage> {
    const capabilities = this.registry
      .capabilities()
      .sort()
      .map((name) => ({ name, agents: this.registry.offering(name).map((agent) => offer(agent, name)) }));
    return { capabilities, total: capabilities.length };
  }
}

function asItWas(state: AgentState, at: string): z.output<typeof AgentThen> {
  const { agent_id, seq, in_force, retired_at, health } = state;
  return {
    agent_id,
    status: isRegistered(state) || retired_at !== null ? statusOf(state) : 'unknown',
    as_of: { seq, at },
    record: in_force?.hash ?? null,
    registered_at: in_force?.time ?? null,
    retired_at,
    health,
    description: (in_force?.description ?? null) as Record<string, JsonValue> | null,
  };
}

function offer({ description: { agent_id, version, capabilities } }: RegisteredAgent, name: string) {
  const { description, input_schema, output_schema } = capabilities.find((capability) => capability.name === name)!;
  return { agent_id, version, description, input_schema: input_schema ?? null, output_schema: output_schema ?? null };
}
