import { Controller, Get, Param } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import { HealthChecks } from '../agents/health.system.js';
import { agentTotals } from '../contracts/tallies.follower.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { AgentDetail, AgentIdParam, type AgentItem, AgentsHealth, AgentsPage, CapabilitiesPage } from './agents.schema.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { Problems } from './problem.filter.js';

@Controller('v1')
@ApiTags('agents')
export class AgentsController {
  constructor(
    private readonly registry: AgentRegistry,
    private readonly health: HealthChecks,
    private readonly db: Database,
  ) {}

  @Get('agents')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'List agents', description: 'In the order of their configuration. Asks none of them.' })
  @ApiOkResponse({ description: 'All of them', standardSchema: AgentsPage })
  @Problems('ledger_unavailable')
  async listAgents(@CurrentCaller() caller: Caller): Promise<z.output<typeof AgentsPage>> {
    const agents = await this.items(this.registry.all(), caller.tenant);
    return { agents, total: agents.length };
  }

  @Get('agents/health')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Ask all agents how they are', description: 'At once, each for at most 5 s; an answer serves for 10 s.' })
  @ApiOkResponse({ description: 'One line for each', standardSchema: AgentsHealth })
  async agentsHealth(): Promise<z.output<typeof AgentsHealth>> {
    const agents = await Promise.all(
      this.registry.all().map(async (agent) => ({ agent_id: agent.description.agent_id, ...(await this.health.check(agent)) })),
    );
    return { agents, total: agents.length };
  }

  @Get('agents/:id')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Read an agent', description: 'Asks it how it is, for at most 5 s; an answer serves for 10 s.' })
  @ApiOkResponse({ description: 'The agent', standardSchema: AgentDetail })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  async getAgent(
    @Param('id', { schema: AgentIdParam }) id: string,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof AgentDetail>> {
    const agent = this.registry.get(id);
    if (!agent) throw new OrchestratorError('not_found', `there is no agent "${id}"; GET /v1/agents lists them`);
    const health = await this.health.check(agent);
    const [item] = await this.items([agent], caller.tenant);
    return { ...item!, health };
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

  private async items(agents: readonly RegisteredAgent[], tenant: string): Promise<z.output<typeof AgentItem>[]> {
    const totals = await agentTotals(this.db, tenant);
    return agents.map(({ description, protocol, endpoint, record, registered_at }) => ({
      ...description,
      status: this.health.status(description.agent_id),
      protocol,
      endpoint,
      registered_at,
      record,
      last_heartbeat: this.health.heartbeat(description.agent_id),
      tasks_completed: totals.get(description.agent_id)?.completed ?? 0,
      tasks_failed: totals.get(description.agent_id)?.failed ?? 0,
    }));
  }
}

function offer({ description: { agent_id, version, capabilities } }: RegisteredAgent, name: string) {
  const { description, input_schema, output_schema } = capabilities.find((capability) => capability.name === name)!;
  return { agent_id, version, description, input_schema: input_schema ?? null, output_schema: output_schema ?? null };
}
