/** Seals sessions in which nothing has happened for a while. The next event under the same name opens a new stream. Off unless configured. */

import { OrchestratorError } from '../kernel/errors.js';
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import type { ContractManager } from './contracts.commands.js';

const LOOK_MS = 60_000;

export class IdleSessions implements Worker {
  readonly name = 'idle sessions';
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private sealed = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly contracts: ContractManager,
    /** Null: sessions stay open. */
    private readonly idleSeconds: number | null,
  ) {}

  start(): void {
    if (this.idleSeconds === null) return;
    this.timer = setInterval(() => void this.look(), Math.min(LOOK_MS, this.idleSeconds * 500));
    this.timer.unref();
  }

  look(): Promise<void> {
    this.looking ??= this.sealIdle().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  private async sealIdle(): Promise<void> {
    try {
      // The record's text time is on the writer's clock; for idleness of minutes that is close enough.
      const idle = await this.db.query<{ stream: string }>(
        `SELECT s.stream FROM session s JOIN stream_head h ON h.stream = s.stream JOIN event e ON e.stream = h.stream AND e.seq = h.seq
          WHERE e.type <> 'session.closed' AND e.time::timestamptz < clock_timestamp() - make_interval(secs => $1)
            AND NOT EXISTS (SELECT 1 FROM open_request o WHERE o.stream = s.stream)
            AND NOT EXISTS (SELECT 1 FROM event c WHERE c.stream = s.stream AND c.type = 'session.closed') LIMIT 500`,
        [this.idleSeconds],
      );
      let wrong: string | null = null;
      for (const { stream } of idle) {
        await this.contracts.seal(stream, 'idle', false).then(
          () => {
            this.sealed += 1;
          },
          (error: Error) => {
            const raced = error instanceof OrchestratorError && (error.code === 'session_busy' || error.code === 'session_closed');
            if (!raced) wrong = error.message; // the others go on
          },
        );
      }
      this.lastError = wrong;
    } catch (error) {
      this.lastError = (error as Error).message;
    }
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  status(): Record<string, unknown> {
    return { idle_seconds: this.idleSeconds, sealed: this.sealed, last_error: this.lastError };
  }
}
