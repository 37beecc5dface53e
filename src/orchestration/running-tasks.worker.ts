/**
 * The tasks this process carries, each with what stops it. Another replica is told of a cancelled task through the database: whoever carries
 * tasks looks there, several times a second, and nobody else does.
 */
import { Stop } from '../agents/agent-client.js';
import { UnderWay } from '../kernel/under-way.js';
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import type { Follower } from './carrier.system.js';
import { cancelledOf } from './task-cancel.postgres.js';

const LOOK_MS = 250;

const nobody = (): void => undefined;

export class RunningTasks implements Worker {
  readonly name = 'running tasks';
  private readonly stops = new UnderWay<Stop>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private cancelled = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly lookMs = LOOK_MS,
  ) {}

  /** Embedded there is no other replica: whoever cancels tells this process. */
  start(): void {
    if (this.db.embedded) return;
    this.timer = setInterval(() => {
      if (this.stops.size > 0) void this.look();
    }, this.lookMs);
    this.timer.unref();
  }

  /** From here on it can be cancelled: through `gone` of the follower it is carried with. */
  begin(task: string, follower: Follower = { gone: new Stop(), recorded: nobody }): Follower {
    this.stops.begin(task, follower.gone);
    return follower;
  }

  end(task: string): void {
    this.stops.end(task);
  }

  /** Does nothing if the task is not carried here. */
  cancel(task: string): void {
    const stop = this.stops.end(task);
    if (!stop) return;
    this.cancelled += 1;
    stop.stop(new Error('the task was cancelled'));
  }

  look(): Promise<void> {
    this.looking ??= cancelledOf(this.db, this.stops.ids())
      .then((tasks) => {
        for (const task of tasks) this.cancel(task);
        this.lastError = null;
      })
      .catch((error: Error) => {
        this.lastError = error.message;
      })
      .finally(() => {
        this.looking = null;
      });
    return this.looking;
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  status(): Record<string, unknown> {
    return { running: this.stops.size, cancelled: this.cancelled, last_error: this.lastError };
  }
}
