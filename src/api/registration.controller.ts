import { Body, Controller, Delete, HttpCode, Param, Post, Put } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { Heartbeat, RetireAgent, SwitchAgent } from '../agents/agents.commands.js';
import { AgentRegistry } from '../agents/directory.js';
import { RefreshAgents } from '../agents/refresh.commands.js';
import { RegisterAddress, RegisterDescribed } from '../agents/register-address.commands.js';
import { Registration } from '../agents/registration.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { AgentItems } from './agent-items.system.js';
import {
  AgentDetail,
  AgentIdParam,
  AgentRetired,
  HeartbeatBody,
  HeartbeatTaken,
  RefreshBody,
  Refreshed,
  RegisterBody,
  Registered,
  ReplaceBody,
} from './agents.schema.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { BAD_BODY, invalidFields, Problems } from './problem.filter.js';

const Changes = () => Problems(...BAD_BODY, 'agent_conflict', 'ledger_unavailable', 'overloaded');
const Addresses = () => Problems('address_refused', 'agent_unreachable', 'agent_not_understood');

@Controller('v1/agents')
@ApiTags('agents')
export class RegistrationController {
  constructor(
    private readonly commands: CommandBus,
    private readonly registry: AgentRegistry,
    private readonly shown: AgentItems,
  ) {}

  @Post(['', 'register'])
  @Needs('agents:write')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Register an agent',
    description:
      'By a full description, or by an address alone: then the agent is asked what it speaks and what it can do, and again from time to time.',
  })
  @ApiOkResponse({ description: 'It is on the record, and can be asked', standardSchema: Registered })
  @Changes()
  @Addresses()
  async registerAgent(
    @Body({ schema: RegisterBody }) body: z.output<typeof RegisterBody>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof Registered>> {
    const { url, ...description } = body;
    if (url === undefined) {
      const { agent_id, changed } = await this.commands.execute(new RegisterDescribed(whole(description), caller, false));
      return this.registered({ agents: [agent_id], changed: changed ? [agent_id] : [], errors: [] }, caller);
    }
    // Members that have a default are there even if nobody sent them.
    const more = Object.keys(description).filter((name) => !['protocol', 'description', 'version'].includes(name));
    if (more.length > 0) {
      const fields = more.map((field) => ({ field, message: 'cannot stand beside url: who lives there says it himself' }));
      throw new OrchestratorError('invalid_request', fields.map((f) => `${f.field}: ${f.message}`).join('; '), { fields });
    }
    return this.registered(await this.commands.execute(new RegisterAddress(url, caller)), caller);
  }

  @Put(':id')
  @Needs('agents:write')
  @ApiOperation({ summary: 'Change an agent', description: 'The whole description anew. The old one stays on the record.' })
  @ApiOkResponse({ description: 'The agent', standardSchema: AgentDetail })
  @Changes()
  @Problems('not_found', 'address_refused', 'agent_unreachable')
  async replaceAgent(
    @Param('id', { schema: AgentIdParam }) id: string,
    @Body({ schema: ReplaceBody }) body: z.output<typeof ReplaceBody>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof AgentDetail>> {
    if (body.agent_id !== undefined && body.agent_id !== id)
      throw new OrchestratorError('invalid_request', `agent_id: is "${body.agent_id}", but "${id}" is to be changed; an id is permanent`);
    await this.commands.execute(new RegisterDescribed(whole({ ...body, agent_id: id }), caller, true));
    return this.one(id, caller);
  }

  @Delete(':id')
  @Needs('agents:write')
  @ApiOperation({ summary: 'Retire an agent', description: 'It is offered no more. What it did, and what it was, stays on the record.' })
  @ApiOkResponse({ description: 'It has retired', standardSchema: AgentRetired })
  @Problems(...BAD_BODY, 'not_found', 'agent_conflict', 'ledger_unavailable', 'overloaded')
  async retireAgent(
    @Param('id', { schema: AgentIdParam }) id: string,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof AgentRetired>> {
    const { retired_at } = await this.commands.execute(new RetireAgent(id, caller));
    return { agent_id: id, retired_at: retired_at! };
  }

  @Post(':id/start')
  @Needs('agents:write')
  @HttpCode(200)
  @ApiOperation({ summary: 'Start an agent', description: 'It is asked again.' })
  @ApiOkResponse({ description: 'The agent', standardSchema: AgentDetail })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable', 'overloaded')
  async startAgent(
    @Param('id', { schema: AgentIdParam }) id: string,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof AgentDetail>> {
    await this.commands.execute(new SwitchAgent(id, 'started', caller));
    return this.one(id, caller);
  }

  @Post(':id/stop')
  @Needs('agents:write')
  @HttpCode(200)
  @ApiOperation({ summary: 'Stop an agent', description: 'It finishes what it does and gets nothing new, also after a restart.' })
  @ApiOkResponse({ description: 'The agent', standardSchema: AgentDetail })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable', 'overloaded')
  async stopAgent(
    @Param('id', { schema: AgentIdParam }) id: string,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof AgentDetail>> {
    await this.commands.execute(new SwitchAgent(id, 'stopped', caller));
    return this.one(id, caller);
  }

  @Post(':id/heartbeat')
  @Needs('agents:write')
  @HttpCode(200)
  @ApiOperation({ summary: 'Say that an agent lives', description: 'Renews its lease. Without a lease it is only a sign of life.' })
  @ApiOkResponse({ description: 'Until when it is good', standardSchema: HeartbeatTaken })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable')
  async heartbeat(
    @Param('id', { schema: AgentIdParam }) id: string,
    @Body({ schema: HeartbeatBody }) { lease_seconds }: z.output<typeof HeartbeatBody>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof HeartbeatTaken>> {
    const { lease_until } = await this.commands.execute(new Heartbeat(id, lease_seconds, caller));
    const { status } = await this.one(id, caller);
    return { agent_id: id, status, lease_until };
  }

  @Post('refresh')
  @Needs('agents:write')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Look at all addresses now',
    description: 'Those agents were discovered at, or one of them. A bad one does not keep the others from it.',
  })
  @ApiOkResponse({ description: 'Who is there', standardSchema: Refreshed })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable', 'overloaded')
  async refreshAgents(@Body({ schema: RefreshBody }) { url }: z.output<typeof RefreshBody>): Promise<z.output<typeof Refreshed>> {
    const looked = await this.commands.execute(new RefreshAgents(url));
    return { looked, total: looked.length };
  }

  private async registered(
    { agents, changed, errors }: { agents: string[]; changed: string[]; errors: string[] },
    { tenant }: Caller,
  ): Promise<z.output<typeof Registered>> {
    const there = agents.flatMap((id) => this.registry.get(id) ?? []);
    const items = await this.shown.items(there, tenant);
    return { agents: items, total: items.length, changed, errors };
  }

  private one(id: string, { tenant }: Caller): Promise<z.output<typeof AgentDetail>> {
    const agent = this.registry.get(id);
    if (!agent) throw new OrchestratorError('not_found', `agent "${id}" has just been retired`);
    return this.shown.detail(agent, tenant);
  }
}

/** What a body lacks for a whole description is told field by field. */
function whole(body: object): Registration {
  const parsed = Registration.safeParse(body);
  if (!parsed.success) throw invalidFields(parsed.error.issues);
  if (parsed.data.endpoint === undefined) {
    const fields = [{ field: 'endpoint', message: 'is missing: where is the agent called?' }];
    throw new OrchestratorError('invalid_request', `${fields[0]!.field}: ${fields[0]!.message}`, { fields });
  }
  return parsed.data;
}
