/** Forgets idempotency keys after their time, and processes not seen for a day. */
import type { Worker } from '../kernel/worker.js';
import type { Database } from './database.postgres.js';
import { forgetInstances } from './open-request.postgres.js';

const LOOK_MS = 10 * 60_000;
const AT_ONCE = 10_000;

export class Expiry implements Worker {
  readonly name = 'expiry';
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private forgotten = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly idempotencyHours: number,
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), LOOK_MS);
    this.timer.unref();
  }

  look(): Promise<void> {
    this.looking ??= this.forget().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  private async forget(): Promise<void> {
    try {
      for (let n = AT_ONCE; n === AT_ONCE; this.forgotten += n) {
        const rows = await this.db.query(
          `DELETE FROM idempotency WHERE (scope, key) IN
             (SELECT scope, key FROM idempotency WHERE at < clock_timestamp() - make_interval(hours => $1) LIMIT $2) RETURNING 1`,
          [this.idempotencyHours, AT_ONCE],
        );
        n = rows.length;
      }
      await forgetInstances(this.db);
      this.lastError = null;
    } catch (error) {
      this.lastError = (error as Error).message;
    }
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  status(): Record<string, unknown> {
    return { keys_forgotten: this.forgotten, last_error: this.lastError };
  }
}
