/** How the agents are, as far as this process has asked them. Asking costs the agent a request, so an answer serves for ten seconds. */
import { now } from '../kernel/ids.system.js';
import type { Health } from './agent-client.js';
import type { RegisteredAgent } from './directory.js';

const SERVES_MS = 10_000;

export interface Checked extends Health {
  readonly checked_at: string;
}

export class HealthChecks {
  private readonly asked = new Map<string, { client: RegisteredAgent['client']; at: number; answer: Promise<Checked> }>();
  private readonly latest = new Map<string, Checked>();
  private readonly healthyAt = new Map<string, string>();

  /** Asks the agent, or waits with whoever is asking it. Settles within the five seconds the client has. */
  check({ description: { agent_id }, client }: RegisteredAgent): Promise<Checked> {
    const before = this.asked.get(agent_id);
    if (before?.client === client && performance.now() - before.at < SERVES_MS) return before.answer;
    const answer = this.ask(agent_id, client);
    this.asked.set(agent_id, { client, at: performance.now(), answer });
    return answer;
  }

  private async ask(agentId: string, client: RegisteredAgent['client']): Promise<Checked> {
    const checked = { ...(await client.health()), checked_at: now() };
    this.latest.set(agentId, checked);
    if (checked.status === 'healthy') this.healthyAt.set(agentId, checked.checked_at);
    return checked;
  }

  /** From the latest answer, without asking: who has given no reason for doubt is available. Agents are called concurrently, none is ever busy. */
  status(agentId: string): 'available' | 'offline' {
    return this.latest.get(agentId)?.status === 'unhealthy' ? 'offline' : 'available';
  }

  /** When this process last found the agent healthy; null: not yet. */
  heartbeat(agentId: string): string | null {
    return this.healthyAt.get(agentId) ?? null;
  }
}
