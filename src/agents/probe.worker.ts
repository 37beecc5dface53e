/**
 * Watches the agents: asks each how it is, once per interval whatever the number of replicas, and puts on the record when that changes. Every
 * replica looks at what is known; the append lets one of them write it.
 */
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { type AgentClient, type Health, Stop } from './agent-client.js';
import { type AgentState, isRegistered } from './agent-state.js';
import type { AgentStreams } from './agents.postgres.js';
import type { AgentRegistry, RegisteredAgent } from './directory.js';
import { longestUnasked, observe } from './health.js';
import type { RegistryWorker } from './registry.worker.js';
import { noteProbe, takeProbes, type WatchRow, watchRows } from './watch.postgres.js';

const LOOK_MS = 1000;
const MOST_PROBES = 100;
/** At most one transition in this time: an agent that comes and goes must not fill the ledger. */
const QUIET_MS = 60_000;

export interface ProbeTimes {
  /** 0: agents are not asked; leases, calls and discovery still count. */
  readonly intervalSeconds: number;
  readonly lookMs?: number;
  readonly quietMs?: number;
}

export class ProbeWorker implements Worker {
  readonly name = 'agent probes';
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private draining = false;
  /** Of the probes under way. */
  private stop = new Stop();
  private probed = 0;
  private transitions = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
    private readonly known: { streams: AgentStreams; registry: RegistryWorker },
    private readonly times: ProbeTimes,
  ) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), this.times.lookMs ?? LOOK_MS);
    this.timer.unref();
  }

  look(): Promise<void> {
    this.running ??= this.round()
      .then(
        () => {
          this.lastError = null;
        },
        (error: Error) => {
          this.lastError = error.message; // the next look tries again
        },
      )
      .finally(() => {
        this.running = null;
      });
    return this.running;
  }

  private async round(): Promise<void> {
    const agents = this.registry.all();
    const ids = agents.map((agent) => agent.description.agent_id);
    if (ids.length === 0) return;
    let rows = await watchRows(this.db, ids);
    if (await this.probe(agents, rows)) rows = await watchRows(this.db, ids);
    for (const agent of agents) {
      const row = rows.get(agent.description.agent_id);
      if (row) await this.settle(agent, row);
    }
  }

  /** False: nobody had to be asked. A stopped agent is left alone. */
  private async probe(agents: readonly RegisteredAgent[], rows: ReadonlyMap<string, WatchRow>): Promise<boolean> {
    if (this.times.intervalSeconds === 0) return false;
    const due = agents.flatMap(({ status, description: { agent_id: agent } }) => {
      const row = rows.get(agent);
      return status !== 'stopped' && (row?.due ?? true) ? [{ agent, checked_at: row?.checked_at ?? null }] : [];
    });
    const asked = longestUnasked(due, MOST_PROBES);
    const taken = await takeProbes(this.db, asked.sort(), this.times.intervalSeconds);
    if (this.draining) return false;
    const stop = new Stop();
    this.stop = stop;
    await Promise.all(
      taken.map(async (id) => {
        const client = this.registry.get(id)?.client;
        const health = client && (await answered(client, stop));
        if (health) await noteProbe(this.db, id, health);
        this.probed += 1;
      }),
    );
    return taken.length > 0;
  }

  /** Puts on the record what has changed, unless something has changed less than a minute ago: then it waits. */
  private async settle(agent: RegisteredAgent, row: WatchRow): Promise<void> {
    const { state, reason } = observe(row);
    if (agent.status === 'stopped' || agent.status === state) return;
    const { state: after, written } = await this.known.streams.write(agent.description.agent_id, (now) =>
      this.mayTell(now, state) ? newDraft('agent.health', { health: state, cause: now.in_force!.event_id }, { reason }) : null,
    );
    if (written) this.transitions += 1;
    this.known.registry.enter(after);
  }

  private mayTell(now: AgentState, state: string): boolean {
    if (!isRegistered(now) || now.stopped || (now.health?.state ?? 'available') === state) return false;
    return now.health === null || Date.now() - Date.parse(now.health.since) >= (this.times.quietMs ?? QUIET_MS);
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    this.draining = true;
    this.stop.stop(new Error('the orchestrator is shutting down'));
    await this.running;
  }

  status(): Record<string, unknown> {
    return { interval_seconds: this.times.intervalSeconds, probed: this.probed, transitions: this.transitions, last_error: this.lastError };
  }
}

/** null: it was not waited for. */
function answered(client: AgentClient, stop: Stop): Promise<Health | null> {
  return new Promise((resolve) => {
    stop.onStop(() => resolve(null));
    void client.health().then(resolve);
  });
}
