/** How much the other replicas have under way at each agent. Each tells the others once a second; balancing needs no more than that. */
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import type { Conditions } from './conditions.js';
import { exchangeLoad } from './load.postgres.js';

const INTERVAL_MS = 1000;

/** Who can be asked about, beside what he has under way here. */
export interface Here {
  readonly owner: string;
  agents(): readonly string[];
  readonly conditions: Pick<Conditions, 'of'>;
}

export class LoadSharing implements Worker {
  readonly name = 'load sharing';
  private sums = new Map<string, number>();
  private others = 0;
  private timer: NodeJS.Timeout | undefined;
  private asking: Promise<void> | null = null;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly here: Here,
    /** Whether the way of balancing looks at it at all. */
    private readonly wanted: boolean,
  ) {}

  /** An embedded database has one process. */
  start(): void {
    if (!this.wanted || this.db.embedded) return;
    this.timer = setInterval(() => this.exchange(), INTERVAL_MS);
    this.timer.unref();
  }

  elsewhere(agentId: string): number {
    return this.sums.get(agentId) ?? 0;
  }

  get replicas(): number {
    return this.others + 1;
  }

  private exchange(): void {
    this.asking ??= this.look()
      .catch((error: Error) => {
        this.lastError = error.message; // what was heard last holds until the next time
      })
      .finally(() => {
        this.asking = null;
      });
  }

  async look(): Promise<void> {
    const { owner, conditions } = this.here;
    const mine: Record<string, number> = {};
    for (const id of this.here.agents()) {
      const { running } = conditions.of(id);
      if (running > 0) mine[id] = running;
    }
    const loads = await exchangeLoad(this.db, owner, mine);
    const sums = new Map<string, number>();
    for (const load of loads) for (const [id, running] of Object.entries(load)) sums.set(id, (sums.get(id) ?? 0) + running);
    this.sums = sums;
    this.others = loads.length;
    this.lastError = null;
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.asking;
  }

  status(): Record<string, unknown> {
    return { shared: this.wanted && !this.db.embedded, replicas: this.replicas, last_error: this.lastError };
  }
}
