/**
 * Verifies the whole ledger every so often, by one replica at a time; all of them know the verdict. A failed one makes the health of each
 * `degraded` until a later one passes. Off unless configured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import { keptCheckpoints } from './kept-checkpoints.system.js';
import type { SelfCheckRow } from './self-check.js';
import { claimSelfCheck, endSelfCheck, renewSelfCheck, selfCheck } from './self-check.postgres.js';
import { verifyLedger } from './verify.postgres.js';
import type { Verdict } from './verify-verdict.js';

/** How soon another replica learns what one has found: at the latest, and four times in an interval. */
const LOOK_MS = 10_000;
const LEASE_SECONDS = 300;
const RENEW_MS = 30_000;

export interface SelfCheckOptions {
  /** Null: never. */
  readonly intervalSeconds: number | null;
  readonly checkpointDir: string | undefined;
  readonly lookMs?: number;
}

export class SelfCheck implements Worker {
  readonly name = 'self-check';
  private readonly ended = new AbortController();
  private loop: Promise<void> = Promise.resolve();
  private known: SelfCheckRow | null = null;
  private running: { done: number; total: number } | null = null;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly options: SelfCheckOptions,
    private readonly told: (verdict: Verdict) => void = () => undefined,
  ) {}

  /** Whether the last check found nothing wrong, or there was none. */
  get sound(): boolean {
    return (this.known?.verdict?.verdict ?? 'valid') === 'valid';
  }

  start(): void {
    if (this.options.intervalSeconds !== null) this.loop = this.run(this.options.intervalSeconds);
  }

  private async run(intervalSeconds: number): Promise<void> {
    const { signal } = this.ended;
    const { lookMs = Math.min(LOOK_MS, intervalSeconds * 250) } = this.options;
    while (!signal.aborted) {
      try {
        if (await claimSelfCheck(this.db, LEASE_SECONDS)) await this.check(intervalSeconds);
        this.known = await selfCheck(this.db);
        this.lastError = this.known.error;
      } catch (error) {
        this.lastError = (error as Error).message;
      }
      await sleep(lookMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private async check(intervalSeconds: number): Promise<void> {
    const { checkpointDir } = this.options;
    let renewed = performance.now();
    try {
      const known = checkpointDir === undefined ? [] : await keptCheckpoints(checkpointDir);
      for await (const message of verifyLedger(this.db, { known })) {
        if (this.ended.signal.aborted) return await renewSelfCheck(this.db, 0); // the next replica begins anew
        if ('verdict' in message) {
          const { verdict, anchored, events, found, first } = message;
          await endSelfCheck(this.db, intervalSeconds, { verdict: { verdict, anchored, events, found, first } });
          this.told(message);
        } else {
          this.running = message;
          if (performance.now() - renewed < RENEW_MS) continue;
          renewed = performance.now();
          await renewSelfCheck(this.db, LEASE_SECONDS);
        }
      }
    } catch (error) {
      await endSelfCheck(this.db, intervalSeconds, { error: (error as Error).message });
    } finally {
      this.running = null;
    }
  }

  async drain(): Promise<void> {
    this.ended.abort();
    await this.loop;
  }

  status(): Record<string, unknown> {
    return {
      interval_seconds: this.options.intervalSeconds,
      sound: this.sound,
      running: this.running,
      last: this.known,
      last_error: this.lastError,
    };
  }
}
