/**
 * Closes the REQUESTs nobody answers for any more: past their deadline plus grace, or of a process that died. The outcome of such a call is
 * unknown (the agent may have acted), and the record says just that: failed / interrupted. Every replica looks; the appender lets one win.
 */
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import { abandoned } from '../ledger/open-request.postgres.js';
import { failed } from './contract.js';
import type { ContractManager } from './contracts.commands.js';

const LOOK_MS = 5000;
const AT_ONCE = 50;

export class Recovery implements Worker {
  readonly name = 'recovery';
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private closed = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly contracts: ContractManager,
    private readonly owner: string,
    private readonly lookMs = LOOK_MS,
  ) {}

  /** Embedded, nobody but this process can be alive: everything open is closed before the first call is taken. */
  async start(): Promise<void> {
    await this.look();
    this.timer = setInterval(() => void this.look(), this.lookMs);
    this.timer.unref();
  }

  look(): Promise<void> {
    this.looking ??= this.closeAll().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  private async closeAll(): Promise<void> {
    try {
      let before = '';
      for (let left = await this.find(); left.length > 0 && left[0]!.id !== before; left = await this.find()) {
        before = left[0]!.id; // still there after its turn: damaged, verify will name it
        for (let i = 0; i < left.length; i += AT_ONCE) await Promise.all(left.slice(i, i + AT_ONCE).map((open) => this.close(open)));
      }
      this.lastError = null;
    } catch (error) {
      this.lastError = (error as Error).message; // the next look tries again
    }
  }

  private find() {
    return abandoned(this.db, this.db.embedded ? this.owner : null);
  }

  private async close(open: { id: string; stream: string; owner: string }): Promise<void> {
    const why = open.owner === this.owner ? 'the call outlived its deadline' : 'the process that ran the call is gone';
    await this.contracts.closeAbandoned(open, failed('interrupted', `${why}; whether the agent acted is unknown`));
    this.closed += 1;
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  status(): Record<string, unknown> {
    return { closed: this.closed, last_error: this.lastError };
  }
}
