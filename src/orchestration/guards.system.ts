/**
 * What stands between this process and each agent: the breaker, and the bulkhead with its queue, so that an agent that is slow or ill takes
 * nothing from the others. In memory and synchronous: on the way to a free and healthy agent nothing waits.
 */
import type { RegisteredAgent } from '../agents/directory.js';
import { type Condition, Conditions } from '../routing/conditions.js';
import { Breaker, type BreakerLimits, type Pass } from './breaker.system.js';
import type { OrchestrationSettings } from './orchestration.settings.js';

/** Why an agent is not called now. `busy`: there is room to wait for it; `full`: not even that. */
export type Closed = 'breaker_open' | 'busy' | 'full';

/** Of a task whose caller says nothing about it. */
const LEAST_URGENT = 1;

interface Limits extends BreakerLimits {
  readonly concurrency: number;
  readonly queue: number;
  readonly patienceMs: number;
}

export interface ShownGuard {
  readonly agent_id: string;
  readonly breaker: Condition['breaker'];
  readonly running: number;
  readonly waiting: number;
}

/** `changed` hears of a breaker that opens or closes. */
export type BreakerChanged = (agentId: string, to: 'open' | 'closed', reason: string) => void;

export class Guard {
  private running = 0;
  /** The more urgent first, and of equals who came first. */
  private readonly queue: { readonly wake: () => void; readonly priority: number }[] = [];
  private readonly breaker: Breaker;

  constructor(
    /** Hash of the record that describes the agent: described anew, it begins anew. */
    readonly record: string,
    private readonly limits: Limits,
    changed: (to: 'open' | 'closed', reason: string) => void,
    now?: () => number,
  ) {
    this.breaker = new Breaker(
      limits,
      (to, reason) => {
        changed(to, reason);
        if (to === 'open') this.dismiss();
      },
      now,
    );
  }

  /** `queued`: whoever has waited goes before those who have not. */
  enter(queued = false): Pass | Closed {
    if (!this.breaker.admits) return 'breaker_open';
    const { concurrency, queue } = this.limits;
    if (this.running >= concurrency || (!queued && this.queue.length > 0)) return this.queue.length < queue ? 'busy' : 'full';
    this.running += 1;
    return this.breaker.begin()!;
  }

  /** `well`: what the call says of the agent; null: nothing. */
  leave(pass: Pass, well: boolean | null, how = ''): void {
    this.running -= 1;
    this.breaker.end(pass, well, how);
    this.next();
  }

  /** Wakes who is first in line, if there is room for him. */
  next(): void {
    if (this.running < this.limits.concurrency) this.queue[0]?.wake();
  }

  /** Wakes everybody, to go elsewhere. */
  dismiss(): void {
    for (const { wake } of [...this.queue]) wake();
  }

  /** Returns how to leave the line again; whoever is woken has left it. */
  line(wake: () => void, priority = LEAST_URGENT): () => void {
    const waiting = { wake, priority };
    const behind = this.queue.findIndex((other) => other.priority < priority);
    this.queue.splice(behind < 0 ? this.queue.length : behind, 0, waiting);
    return () => {
      const at = this.queue.indexOf(waiting);
      if (at >= 0) this.queue.splice(at, 1);
    };
  }

  get patienceMs(): number {
    return this.limits.patienceMs;
  }

  get condition(): Condition {
    const { admits, state } = this.breaker;
    const full = this.running >= this.limits.concurrency && this.queue.length >= this.limits.queue;
    return { breaker: admits ? state : 'open', running: this.running, full };
  }

  get shown(): Omit<ShownGuard, 'agent_id'> {
    return { breaker: this.breaker.state, running: this.running, waiting: this.queue.length };
  }
}

const UNASKED: Condition = { breaker: 'closed', running: 0, full: false };

export class Guards extends Conditions {
  private readonly guards = new Map<string, Guard>();

  constructor(
    private readonly settings: OrchestrationSettings,
    private readonly changed: BreakerChanged,
    private readonly now?: () => number,
  ) {
    super();
  }

  of(agentId: string, record?: string): Condition {
    const known = this.guards.get(agentId);
    return known && (record === undefined || known.record === record) ? known.condition : UNASKED;
  }

  at(agent: RegisteredAgent): Guard {
    const known = this.guards.get(agent.description.agent_id);
    return known?.record === agent.record ? known : this.anew(agent, known);
  }

  /** Calls that are under way leave the old one. */
  private anew({ description, record }: RegisteredAgent, before: Guard | undefined): Guard {
    const { agent_id } = description;
    // Of the calls that are under way nobody hears any more what they say about the agent as it was.
    const changed = (to: 'open' | 'closed', reason: string) => {
      if (this.guards.get(agent_id) === guard) this.changed(agent_id, to, reason);
    };
    const guard: Guard = new Guard(record, this.limitsOf(description), changed, this.now);
    this.guards.set(agent_id, guard);
    before?.dismiss();
    if (before && before.shown.breaker !== 'closed') changed('closed', 'the agent is described anew');
    return guard;
  }

  private limitsOf({ max_concurrency, max_queue, breaker }: RegisteredAgent['description']): Limits {
    const { settings } = this;
    return {
      concurrency: max_concurrency ?? Number.POSITIVE_INFINITY,
      queue: max_queue ?? settings.AGENT_QUEUE,
      failures: breaker?.failures ?? settings.BREAKER_FAILURES,
      share: breaker?.share ?? settings.BREAKER_SHARE,
      window: breaker?.window ?? settings.BREAKER_WINDOW,
      pauseMs: (breaker?.pause_seconds ?? settings.BREAKER_PAUSE_SECONDS) * 1000,
      patienceMs: (breaker?.patience_seconds ?? settings.BREAKER_PATIENCE_SECONDS) * 1000,
    };
  }

  /** Of the agents this process has called. */
  all(): ShownGuard[] {
    return [...this.guards].map(([agent_id, guard]) => ({ agent_id, ...guard.shown }));
  }
}
