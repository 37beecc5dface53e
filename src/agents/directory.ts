/**
 * AgentRegistry: the agents this process can call, by id and by capability: those of the agents file in its order, then the registered ones
 * by id, so that every replica lists them alike. Reading it never calls out and never waits; what is recorded about agents are events in
 * their streams.
 */
import type { KnownDescription } from './agent.js';
import type { AgentClient } from './agent-client.js';
import type { AgentStatus } from './agent-state.js';
import type { AgentLimits, Registration, Source } from './registration.js';

export interface RegisteredAgent {
  readonly description: KnownDescription & AgentLimits & Pick<Registration, 'lease_seconds'>;
  readonly protocol: string;
  readonly endpoint: string | null;
  readonly client: AgentClient;
  /** Hex hash of the record in force, set from the first contract on. */
  readonly record: string;
  readonly registered_at: string;
  /** By its stream. Stopped: it finishes what it does and gets nothing new. */
  readonly status: AgentStatus;
  /** null: it stands in the agents file. */
  readonly source: Source | null;
}

export class AgentRegistry {
  /** Whatever stands below this place of the global order is known here, perhaps more. */
  position = 0;
  private readonly agents = new Map<string, RegisteredAgent>();
  private ordered: RegisteredAgent[] | null = null;
  private readonly offers = new Map<string, RegisteredAgent[]>();
  private readonly listeners = new Set<() => void>();

  put(agent: RegisteredAgent): void {
    this.agents.set(agent.description.agent_id, agent);
    this.changed();
  }

  remove(agentId: string): void {
    if (this.agents.delete(agentId)) this.changed();
  }

  /** Calls back whenever an agent comes, goes or is another than before. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private changed(): void {
    this.ordered = null;
    for (const listener of this.listeners) listener();
  }

  get(agentId: string): RegisteredAgent | undefined {
    return this.agents.get(agentId);
  }

  all(): readonly RegisteredAgent[] {
    return this.ordered ?? this.order();
  }

  /** Those who offer the capability by exactly this name, stopped ones too. */
  offering(capability: string): readonly RegisteredAgent[] {
    this.all();
    return this.offers.get(capability) ?? [];
  }

  capabilities(): string[] {
    this.all();
    return [...this.offers.keys()];
  }

  private order(): RegisteredAgent[] {
    const all = [...this.agents.values()];
    const registered = all.filter((agent) => agent.source !== null);
    registered.sort((a, b) => (a.description.agent_id < b.description.agent_id ? -1 : 1));
    this.ordered = [...all.filter((agent) => agent.source === null), ...registered];
    this.offers.clear();
    for (const each of this.ordered) {
      for (const { name } of each.description.capabilities) {
        const others = this.offers.get(name);
        if (others) others.push(each);
        else this.offers.set(name, [each]);
      }
    }
    return this.ordered;
  }
}
