/** Everything that changes who is registered: an event in the agent's stream, unless nothing would change. */
import { createHash } from 'node:crypto';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { JsonValue } from '../kernel/json.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import type { Draft } from '../ledger/record.js';
import type { Discovered } from './agent-protocol.js';
import type { ConfiguredAgent } from './agent-source.js';
import { type AgentState, isRegistered } from './agent-state.js';
import { AgentStreams } from './agents.postgres.js';
import { conflict, isSame, mayRegister, mine, unknown, type Wanted } from './ownership.js';
import type { KeptDocument, Registration, Source } from './registration.js';
import { RegistryWorker } from './registry.worker.js';
import { noteHeartbeat, watchAfresh } from './watch.postgres.js';

export interface RegisterOptions {
  readonly document?: Discovered['document'] | undefined;
  /** Changes what is there, rather than claiming the id. */
  readonly replace?: boolean;
}

export class RegisterAgent extends Command<{ agent: AgentState; changed: boolean; before: Registration | null }> {
  constructor(
    readonly description: Registration,
    readonly source: Source,
    readonly options: RegisterOptions = {},
  ) {
    super();
  }
}

@CommandHandler(RegisterAgent)
export class RegisterAgentHandler implements ICommandHandler<RegisterAgent> {
  constructor(
    private readonly streams: AgentStreams,
    private readonly registry: RegistryWorker,
    private readonly db: Database,
  ) {}

  async execute({ description, source, options }: RegisterAgent) {
    const { agent_id } = description;
    if (this.registry.isConfigured(agent_id)) throw standsInFile(agent_id);
    const wanted = { description, source };
    let before: Registration | null = null;
    const { state, written } = await this.streams.write(agent_id, (now) => {
      if (options.replace && !isRegistered(now)) throw unknown(agent_id);
      mayRegister(now, wanted, options.replace ?? false);
      before = isRegistered(now) ? (now.in_force?.description ?? null) : null;
      return isSame(now, wanted) ? null : described(now, wanted, options.document);
    });
    const lease = description.lease_seconds ?? null;
    // Whoever dies here leaves an agent whose lease begins with its first heartbeat.
    if (before === null) await watchAfresh(this.db, agent_id, lease);
    else if (source.by === 'api') await noteHeartbeat(this.db, agent_id, lease);
    this.registry.enter(state);
    return { agent: state, changed: written, before };
  }
}

/** An agent of the agents file. Any number of replicas may do it at once. */
export class ConfigureAgent extends Command<{ agent: AgentState; changed: boolean }> {
  constructor(readonly agent: ConfiguredAgent) {
    super();
  }
}

@CommandHandler(ConfigureAgent)
export class ConfigureAgentHandler implements ICommandHandler<ConfigureAgent> {
  constructor(
    private readonly streams: AgentStreams,
    private readonly registry: RegistryWorker,
  ) {}

  async execute({ agent }: ConfigureAgent) {
    const { protocol, endpoint } = agent;
    const description = { ...agent.description, protocol, ...(endpoint !== null && { endpoint }) };
    const wanted = { description, source: null };
    const { state, written } = await this.streams.write(description.agent_id, (now) =>
      isSame(now, wanted) ? null : described(now, wanted),
    );
    this.registry.configure(agent, state);
    return { agent: state, changed: written };
  }
}

function described(now: AgentState, { description, source }: Wanted, document?: Discovered['document']): Draft {
  const type = isRegistered(now) ? 'agent.updated' : 'agent.registered';
  const members = { version: description.version, ...(now.in_force && { cause: now.in_force.event_id }) };
  return newDraft(type, members, {
    description: JSON.parse(JSON.stringify(description)) as JsonValue,
    source: (source ?? undefined) as JsonValue | undefined,
    document: document && kept(document),
  });
}

function kept({ media_type, bytes }: Discovered['document']): JsonValue {
  const asText = bytes.toString('utf8');
  const text = Buffer.from(asText, 'utf8').equals(bytes);
  const document: KeptDocument = {
    media_type,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    encoding: text ? 'utf-8' : 'base64',
    data: text ? asText : bytes.toString('base64'),
  };
  return { ...document };
}

const standsInFile = (id: string) => conflict(`agent "${id}" stands in the agents file of this orchestrator; change it there`);

/** On whose behalf: recorded as payload. */
export interface By {
  readonly tenant: string;
  readonly principal: string | null;
}

const byline = ({ principal }: By) => ({ principal: principal ?? undefined });

export class RetireAgent extends Command<AgentState> {
  constructor(
    readonly agentId: string,
    readonly by: By,
  ) {
    super();
  }
}

@CommandHandler(RetireAgent)
export class RetireAgentHandler implements ICommandHandler<RetireAgent> {
  constructor(
    private readonly streams: AgentStreams,
    private readonly registry: RegistryWorker,
  ) {}

  async execute({ agentId, by }: RetireAgent) {
    if (this.registry.isConfigured(agentId)) throw standsInFile(agentId);
    const { state } = await this.streams.write(agentId, (now) =>
      newDraft('agent.retired', { cause: mine(now, by.tenant).in_force!.event_id }, byline(by)),
    );
    this.registry.enter(state);
    return state;
  }
}

/** Stopped, an agent finishes what it does and gets nothing new. */
export class SwitchAgent extends Command<AgentState> {
  constructor(
    readonly agentId: string,
    readonly to: 'started' | 'stopped',
    readonly by: By,
  ) {
    super();
  }
}

@CommandHandler(SwitchAgent)
export class SwitchAgentHandler implements ICommandHandler<SwitchAgent> {
  constructor(
    private readonly streams: AgentStreams,
    private readonly registry: RegistryWorker,
  ) {}

  async execute({ agentId, to, by }: SwitchAgent) {
    const { state } = await this.streams.write(agentId, (now) => {
      const { stopped, in_force } = mine(now, by.tenant);
      return stopped === (to === 'stopped') ? null : newDraft(`agent.${to}`, { cause: in_force!.event_id }, byline(by));
    });
    this.registry.enter(state);
    return state;
  }
}

export class Heartbeat extends Command<{ lease_until: string | null }> {
  constructor(
    readonly agentId: string,
    readonly leaseSeconds: number | undefined,
    readonly by: By,
  ) {
    super();
  }
}

@CommandHandler(Heartbeat)
export class HeartbeatHandler implements ICommandHandler<Heartbeat> {
  constructor(
    private readonly registry: RegistryWorker,
    private readonly db: Database,
  ) {}

  /** Not an event: only what follows when it stays away is. */
  async execute({ agentId, leaseSeconds, by }: Heartbeat) {
    const agent = this.registry.known(agentId, by.tenant);
    const until = await noteHeartbeat(this.db, agentId, leaseSeconds ?? agent.description.lease_seconds ?? null);
    return { lease_until: until?.toISOString() ?? null };
  }
}
