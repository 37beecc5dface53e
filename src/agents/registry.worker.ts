/**
 * Keeps AgentRegistry as the streams have it: what this process writes at once, what other replicas wrote within about a second. It looks at
 * the heads of the agent streams, one short range of an index, and reads those that moved.
 */
import { Rounds } from '../kernel/rounds.system.js';
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import type { AgentProtocols } from './agent-protocols.js';
import type { ConfiguredAgent } from './agent-source.js';
import { type AgentState, isRegistered, statusOf } from './agent-state.js';
import { agentHeads, agentStates } from './agents.postgres.js';
import type { CallSignals } from './call-signals.system.js';
import type { AgentRegistry, RegisteredAgent } from './directory.js';
import { anothers, unknown } from './ownership.js';
import { UnspokenClient } from './unspoken.client.js';
import { WatchedClient } from './watched.client.js';

const AT_ONCE = 200;
const POLL_MS = 1000;
/** Between two looks, so that a busy ledger is followed in few of them. */
const REST_MS = 250;

export class RegistryWorker implements Worker {
  readonly name = 'agent registry';
  private readonly configured = new Map<string, ConfiguredAgent & { record: string; registered_at: string }>();
  /** Heads of the streams that were looked at, and of what was read there: an event of a type unknown to this version moves only the first. */
  private readonly heads = new Map<string, number>();
  private readonly seen = new Map<string, number>();
  private readonly rounds = new Rounds(() => this.look(), { pollMs: POLL_MS, restMs: REST_MS });

  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
    private readonly protocols: AgentProtocols,
    private readonly signals: CallSignals,
  ) {}

  /** The registered agents are there when it has started. */
  async start(): Promise<void> {
    await this.look();
    this.rounds.start();
  }

  kick(): void {
    this.rounds.kick();
  }

  private async look(): Promise<void> {
    const { heads, position } = await agentHeads(this.db);
    const moved = [...heads].filter(([id, seq]) => (this.heads.get(id) ?? 0) < seq).map(([id]) => id);
    for (let i = 0; i < moved.length; i += AT_ONCE) {
      for (const state of await agentStates(this.db, moved.slice(i, i + AT_ONCE))) this.enter(state);
    }
    for (const id of moved) this.heads.set(id, heads.get(id)!);
    this.registry.position = position;
  }

  /** An agent of the agents file: it is called as the file says, and is as its stream says. */
  configure(agent: ConfiguredAgent, state: AgentState): void {
    const { agent_id } = agent.description;
    const known = { ...agent, client: this.watched(agent_id, agent.client) };
    this.configured.set(agent_id, { ...known, record: state.in_force!.hash, registered_at: state.in_force!.time });
    this.enter(state);
  }

  isConfigured(agentId: string): boolean {
    return this.configured.has(agentId);
  }

  /** The agent, if this tenant may speak for it. */
  known(agentId: string, tenant: string): RegisteredAgent {
    const agent = this.registry.get(agentId);
    if (!agent) throw unknown(agentId);
    if ((agent.source?.tenant ?? 'default') !== tenant) throw anothers(agentId);
    return agent;
  }

  /** What the streams say now; of two states the later one counts. */
  enter(state: AgentState): void {
    const { agent_id, in_force } = state;
    if ((this.seen.get(agent_id) ?? 0) > state.seq) return;
    this.seen.set(agent_id, state.seq);
    const status = statusOf(state);
    const configured = this.configured.get(agent_id);
    if (configured) {
      this.registry.put({ ...configured, status, source: null });
      return;
    }
    const before = this.registry.get(agent_id);
    if (!isRegistered(state) || !in_force?.source || !in_force.description) {
      this.registry.remove(agent_id);
      void before?.client.close();
      return;
    }
    const { protocol, endpoint, ...description } = in_force.description;
    const same = before?.record === in_force.hash;
    const client = same ? before.client : this.connect({ protocol, endpoint: endpoint ?? null, description });
    const known = { record: in_force.hash, registered_at: in_force.time, status, source: in_force.source };
    this.registry.put({ description, protocol, endpoint: endpoint ?? null, client, ...known });
    if (!same) void before?.client.close();
  }

  private connect({ protocol, endpoint, description }: Pick<RegisteredAgent, 'protocol' | 'endpoint' | 'description'>) {
    const spoken = this.protocols.all.find(({ name }) => name === protocol);
    const client = spoken && endpoint !== null ? spoken.connect({ endpoint, description }) : new UnspokenClient(protocol);
    return this.watched(description.agent_id, client);
  }

  private watched(agentId: string, client: RegisteredAgent['client']): WatchedClient {
    return new WatchedClient(client, (code, milliseconds) => this.signals.ended(agentId, code, milliseconds));
  }

  async drain(): Promise<void> {
    await this.rounds.stop();
    await Promise.all(this.registry.all().map(({ client }) => client.close()));
  }

  status(): Record<string, unknown> {
    return { agents: this.registry.all().length, last_error: this.rounds.lastError };
  }
}
