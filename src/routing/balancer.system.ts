/** The state of balancing in this process: whose turn it is, and what is known of each agent's load and ways. */
import type { CallSignals } from '../agents/call-signals.system.js';
import type { RegisteredAgent } from '../agents/directory.js';
import { type Balancing, type Place, placeOf, Turns } from './balance.js';
import type { Conditions } from './conditions.js';
import type { LoadSharing } from './load.worker.js';

const EVERYTHING = '';

interface Observed {
  readonly conditions: Pick<Conditions, 'of'>;
  readonly calls: Pick<CallSignals, 'ways'>;
  readonly load: Pick<LoadSharing, 'elsewhere' | 'replicas'>;
}

export class Balancer {
  private readonly turns = new Turns();

  constructor(
    readonly balancing: Balancing,
    /** Whether turns are counted for each capability by itself or for all together. */
    private readonly scope: 'capability' | 'global',
    private readonly observed: Observed,
  ) {}

  place(capability: string, agent: RegisteredAgent): Place {
    const { agent_id, max_concurrency } = agent.description;
    const turn = this.turns.of(this.groupOf(capability), agent_id, this.weightOf(agent));
    const { conditions, calls, load } = this.observed;
    return placeOf(this.balancing, {
      turn,
      get running() {
        return { here: conditions.of(agent_id).running, elsewhere: load.elsewhere(agent_id), replicas: load.replicas };
      },
      capacity: max_concurrency,
      get ways() {
        return calls.ways(agent_id);
      },
      get health() {
        const { breaker } = conditions.of(agent_id);
        return agent.status !== 'available' ? 0 : breaker === 'closed' ? 1 : 0.5;
      },
    });
  }

  /** The first of these was given a task that any of them could have had. */
  took(capability: string, agents: readonly [RegisteredAgent, ...RegisteredAgent[]]): void {
    const taken = { agentId: agents[0].description.agent_id, weight: this.weightOf(agents[0]) };
    const present = agents.map(({ description }) => description.agent_id);
    this.turns.took(this.groupOf(capability), taken, present);
  }

  private groupOf(capability: string): string {
    return this.scope === 'global' ? EVERYTHING : capability;
  }

  private weightOf({ description }: RegisteredAgent): number {
    return this.balancing === 'round_robin' ? 1 : (description.weight ?? 1);
  }
}
