/**
 * AgentRegistry: the agents this process can call, by id and by capability, in the order they were configured. Reading it never calls out
 * and never waits; what is recorded about agents are events in their streams.
 */
import type { KnownDescription } from './agent.js';
import type { AgentClient } from './agent-client.js';

export interface RegisteredAgent {
  readonly description: KnownDescription;
  readonly protocol: string;
  readonly endpoint: string | null;
  readonly client: AgentClient;
  /** Hex hash of the record in force, set from the first contract on. */
  readonly record: string;
  readonly registered_at: string;
}

export class AgentRegistry {
  private readonly agents = new Map<string, RegisteredAgent>();
  private readonly offers = new Map<string, RegisteredAgent[]>();

  put(agent: RegisteredAgent): void {
    this.agents.set(agent.description.agent_id, agent);
    this.offers.clear();
    for (const each of this.agents.values()) {
      for (const { name } of each.description.capabilities) {
        const others = this.offers.get(name);
        if (others) others.push(each);
        else this.offers.set(name, [each]);
      }
    }
  }

  get(agentId: string): RegisteredAgent | undefined {
    return this.agents.get(agentId);
  }

  all(): RegisteredAgent[] {
    return [...this.agents.values()];
  }

  /** Those who offer the capability by exactly this name. */
  offering(capability: string): readonly RegisteredAgent[] {
    return this.offers.get(capability) ?? [];
  }

  capabilities(): string[] {
    return [...this.offers.keys()];
  }
}
