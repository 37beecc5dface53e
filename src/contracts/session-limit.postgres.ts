/** How many sessions may be open at once. What is asked only when one is to be opened, and only where there is a limit, costs nobody else. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Tx } from '../ledger/database.postgres.js';
import { openSessions } from './tallies.follower.js';

const RETRY_SECONDS = 5;

export class SessionLimit {
  private turn: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly db: Tx,
    /** Null: any number. */
    private readonly most: number | null,
  ) {}

  /**
   * Runs `open`, which opens a session, if there is room for it or somebody else has opened it meanwhile. One at a time: two at once would both
   * find the last free place. What other replicas open in the same moment is not seen.
   */
  opening<T>(unopened: () => boolean, open: () => Promise<T>): Promise<T> {
    if (this.most === null) return open();
    const mine = this.turn.then(async () => {
      if (unopened()) await this.refuseIfFull();
      return open();
    });
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  private async refuseIfFull(): Promise<void> {
    const open = await openSessions(this.db);
    if (this.most === null || open < this.most) return;
    const message = `${open} sessions are open, as many as MAX_CONCURRENT_AGENT_SESSIONS allows; nothing was recorded. Close one, or try again later`;
    throw new OrchestratorError('overloaded', message, { retryAfter: RETRY_SECONDS });
  }
}
