/** What real calls of this process say about an agent's health. Three in a row that went wrong count, and so does the first that went well. */
import type { Database } from '../ledger/database.postgres.js';
import type { AgentRegistry } from './directory.js';
import { afterCall } from './health.js';
import { noteCalls } from './watch.postgres.js';

/** Until the registry shows it, every good call would clear the agent's name again. */
const CLEARED_MS = 5000;

export class CallSignals {
  private readonly bad = new Map<string, number>();
  private readonly clearedAt = new Map<string, number>();

  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
  ) {}

  /** A call ended; `code` says how, null: well. Writes only what changes what is known. A signal that is lost is told again. */
  ended(agentId: string, code: string | null): void {
    const before = this.bad.get(agentId) ?? 0;
    const { bad, tell } = afterCall(before, code);
    if (bad !== before) this.bad.set(agentId, bad);
    if (tell !== null) this.note(agentId, tell, code);
    else if (bad === 0 && this.toClear(agentId, before)) this.note(agentId, null, null);
  }

  /** Another process may have told against the agent. */
  private toClear(agentId: string, badBefore: number): boolean {
    const status = this.registry.get(agentId)?.status;
    if (badBefore < 3 && status !== 'offline' && status !== 'error') return false;
    const at = performance.now();
    if (at - (this.clearedAt.get(agentId) ?? Number.NEGATIVE_INFINITY) < CLEARED_MS) return false;
    this.clearedAt.set(agentId, at);
    return true;
  }

  private note(agentId: string, calls: 'offline' | 'error' | null, code: string | null): void {
    noteCalls(this.db, agentId, calls, code).catch(() => undefined);
  }
}
