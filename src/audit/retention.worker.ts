/**
 * Erases by age what an operator does not want to keep: sessions in which nothing has happened for so many days as a whole, and the old
 * contracts of those that go on. What is held stays. Off unless configured; every replica looks, and what one has erased the next finds gone.
 */
import { CommandBus } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import type { Worker } from '../kernel/worker.js';
import { Database } from '../ledger/database.postgres.js';
import { EraseSession } from './erase.commands.js';
import { type AgedSession, agedContracts, agedSessions } from './retention.postgres.js';

const LOOK_MS = 60 * 60_000;
const FIRST_LOOK_MS = 60_000;
/** Pages of old contracts that are erased of one session in one look: a busy one with a long past keeps the others waiting only so long. */
const MOST_PAGES = 100;

export class Retention implements Worker {
  readonly name = 'retention';
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private stopped = false;
  private readonly counts = { sessions: 0, contracts: 0, held: 0, last_error: null as string | null };

  constructor(
    private readonly db: Database,
    private readonly commands: CommandBus,
    /** null: everything is kept. */
    private readonly days: number | null,
  ) {}

  start(): void {
    if (this.days !== null) this.again(FIRST_LOOK_MS);
  }

  private again(milliseconds: number): void {
    this.timer = setTimeout(() => void this.look().finally(() => this.stopped || this.again(LOOK_MS)), milliseconds);
    this.timer.unref();
  }

  look(): Promise<void> {
    this.looking ??= this.eraseOld().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  private async eraseOld(): Promise<void> {
    if (this.days === null) return;
    this.counts.held = 0;
    let failure: string | null = null;
    const failed = (error: Error) => {
      failure = error.message; // the next look tries again
    };
    try {
      for (let after: AgedSession | null = null; !this.stopped; ) {
        const page: AgedSession[] = await agedSessions(this.db, this.days, after);
        for (const session of page) if (!this.stopped) await this.erase(session).catch(failed);
        after = page.at(-1) ?? null;
        if (!after) break;
      }
    } catch (error) {
      failed(error as Error);
    }
    this.counts.last_error = failure;
  }

  private async erase(session: AgedSession): Promise<void> {
    if (session.over) {
      await this.eraseOf(session);
      return;
    }
    for (let page = 0; page < MOST_PAGES && !this.stopped; page++) {
      const contracts = await agedContracts(this.db, session, this.days!);
      if (contracts.length === 0 || !(await this.eraseOf(session, contracts))) return;
    }
  }

  /** All of it, or these contracts. False: nothing was erased. */
  private async eraseOf(session: AgedSession, contracts?: string[]): Promise<boolean> {
    const reasons = { basis: `kept for ${this.days} days`, requested_by: 'RETENTION_DAYS' };
    try {
      const { erasures } = await this.commands.execute(
        new EraseSession({ tenant: session.tenant, principal: null }, { session: session.name, contracts, ...reasons }),
      );
      if (contracts) this.counts.contracts += contracts.length;
      else this.counts.sessions += 1;
      return erasures.length > 0;
    } catch (error) {
      const code = error instanceof OrchestratorError ? error.code : undefined;
      if (code === 'legal_hold') this.counts.held += 1;
      else if (code !== 'not_found' && code !== 'session_busy') throw error; // another replica was quicker, or it has come to life
      return false;
    }
  }

  async drain(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.looking;
  }

  status(): Record<string, unknown> {
    return { days: this.days, ...this.counts };
  }
}
