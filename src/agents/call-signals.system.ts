/** What real calls of this process say about an agent's health. Three in a row that went wrong count, and so does the first that went well. */
import type { Database } from '../ledger/database.postgres.js';
import type { AgentRegistry } from './directory.js';
import { afterCall } from './health.js';
import { noteCalls } from './watch.postgres.js';

/** Ends of a call that say nothing of how good the agent is at its work. */
const NEITHER: readonly (string | null)[] = ['input_required', 'auth_required', 'cancelled'];
/** How much the latest call counts beside all before it. */
const LATEST = 0.1;

/** How the latest calls of an agent went. */
export interface Ways {
  readonly latencyMs: number;
  /** From 0 to 1. */
  readonly success: number;
}

/** Until the registry shows it, every good call would clear the agent's name again. */
const CLEARED_MS = 5000;

export class CallSignals {
  private readonly bad = new Map<string, number>();
  private readonly clearedAt = new Map<string, number>();
  private readonly known = new Map<string, Ways>();

  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
  ) {}

  /** A call ended, after so long where that is known; `code` says how, null: well. Writes only what changes what is known. A signal that is lost is told again. */
  ended(agentId: string, code: string | null, milliseconds?: number): void {
    if (!NEITHER.includes(code)) this.learn(agentId, code === null ? 1 : 0, milliseconds);
    const before = this.bad.get(agentId) ?? 0;
    const { bad, tell } = afterCall(before, code);
    if (bad !== before) this.bad.set(agentId, bad);
    if (tell !== null) this.note(agentId, tell, code);
    else if (bad === 0 && this.toClear(agentId, before)) this.note(agentId, null, null);
  }

  /** null: it was not called yet. */
  ways(agentId: string): Ways | null {
    return this.known.get(agentId) ?? null;
  }

  private learn(agentId: string, success: number, milliseconds: number | undefined): void {
    const before = this.known.get(agentId) ?? { latencyMs: milliseconds ?? 0, success };
    const moved = (from: number, to: number) => from + LATEST * (to - from);
    const latencyMs = moved(before.latencyMs, milliseconds ?? before.latencyMs);
    this.known.set(agentId, { latencyMs, success: moved(before.success, success) });
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
