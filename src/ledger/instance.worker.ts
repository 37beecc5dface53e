/**
 * This process as an owner of open requests. It renews its row every 5 s; unseen for 30 s, others close what it had open. So when it cannot
 * renew for 20 s it must stop dispatching: 10 s before anybody may take it for dead.
 */
import type { Worker } from '../kernel/worker.js';
import type { Database } from './database.postgres.js';
import { forgetInstances, removeInstance, renewInstance } from './open-request.postgres.js';

const TIMES = { renewMs: 5000, unfitMs: 20_000 };

export class Instance implements Worker {
  readonly name = 'instance';
  private renewedAt = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;
  private renewing: Promise<void> | null = null;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    /** One per process start, never reused. */
    readonly owner: string,
    private readonly times = TIMES,
  ) {}

  async start(): Promise<void> {
    await renewInstance(this.db, this.owner);
    this.renewedAt = performance.now();
    await forgetInstances(this.db);
    this.timer = setInterval(() => this.renew(), this.times.renewMs);
    this.timer.unref();
  }

  /** May this process still dispatch work? */
  get fit(): boolean {
    return performance.now() - this.renewedAt < this.times.unfitMs;
  }

  private renew(): void {
    // Counted from before the query: the database may have stored the earlier time.
    const asked = performance.now();
    this.renewing ??= renewInstance(this.db, this.owner)
      .then(() => {
        this.renewedAt = asked;
        this.lastError = null;
      })
      .catch((error: Error) => {
        this.lastError = error.message;
      })
      .finally(() => {
        this.renewing = null;
      });
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.renewing;
    await removeInstance(this.db, this.owner).catch(() => undefined);
  }

  status(): Record<string, unknown> {
    return { owner: this.owner, fit: this.fit, last_error: this.lastError };
  }
}
