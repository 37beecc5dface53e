/**
 * Looks again and again at the addresses agents come from: those of the agents file, and those that were registered by address. One replica
 * looks at each in each interval. One bad address never keeps the others from being looked at.
 */
import type { CommandBus } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import type { Log } from '../kernel/log.system.js';
import { printable } from '../kernel/printable.js';
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import { Stop } from './agent-client.js';
import type { AgentProtocols } from './agent-protocols.js';
import type { Sources } from './agent-source.js';
import { RegisterAgent } from './agents.commands.js';
import { changes } from './changes.js';
import type { AgentRegistry, RegisteredAgent } from './directory.js';
import { type Found, findAt } from './find-at.system.js';
import { isAsBefore } from './ownership.js';
import type { Source } from './registration.js';
import { dueSources, noteLook, type SourceRow, takeSources } from './sources.postgres.js';
import { noteFound } from './watch.postgres.js';

const LOOK_MS = 1000;
const AT_ONCE = 16;
const MOST_TOLD = 20;

export interface Surroundings {
  readonly protocols: AgentProtocols;
  readonly commands: CommandBus;
  readonly log: Log;
  readonly intervalSeconds: number;
}

export interface Looked {
  readonly url: string;
  readonly agents: string[];
  /** What went wrong, with the address or with single agents. */
  readonly errors: string[];
}

export class DiscoveryWorker implements Worker {
  readonly name = 'agent discovery';
  /** What was last wrong with an address. */
  private readonly told = new Map<string, string>();
  private configured: Sources = { endpoints: [], registries: [] };
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  /** Due, and being looked at. Each by itself: a list that takes minutes keeps one place of AT_ONCE, and nobody else waiting. */
  private readonly waiting = new Set<string>();
  private readonly under = new Map<string, { readonly stop: Stop; readonly ended: Promise<void> }>();
  private looks = 0;
  private failed = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly registry: AgentRegistry,
    private readonly own: Surroundings,
  ) {}

  /** The addresses of the agents file. */
  configure(sources: Sources): void {
    this.configured = sources;
  }

  start(): void {
    if (this.own.intervalSeconds === 0) return;
    this.timer = setInterval(() => void this.look(), LOOK_MS);
    this.timer.unref();
  }

  private look(): Promise<void> {
    this.running ??= this.round()
      .catch((error: Error) => {
        this.lastError = error.message; // the next look tries again
      })
      .finally(() => {
        this.running = null;
      });
    return this.running;
  }

  private async round(): Promise<void> {
    for (const url of await dueSources(this.db, this.urls())) if (!this.under.has(url)) this.waiting.add(url);
    this.lastError = null;
    this.begin();
  }

  private begin(): void {
    for (const url of this.waiting) {
      if (this.under.size >= AT_ONCE) return;
      this.waiting.delete(url);
      const stop = new Stop();
      const ended = this.turn(url, stop)
        .catch((error: Error) => {
          this.lastError = error.message;
        })
        .finally(() => {
          this.under.delete(url);
          this.begin();
        });
      this.under.set(url, { stop, ended });
    }
  }

  /** Unless another replica has it. */
  private async turn(url: string, stop: Stop): Promise<void> {
    const [row] = await takeSources(this.db, [url], this.own.intervalSeconds);
    if (row) await this.lookAt(row, stop);
  }

  /** Now, due or not. */
  async refresh(urls: readonly string[]): Promise<Looked[]> {
    const looked: Looked[] = [];
    for (let i = 0; i < urls.length; i += AT_ONCE) {
      const some = urls.slice(i, i + AT_ONCE).map((url) => this.lookAt({ url, protocol: null, etag: null }, new Stop()));
      looked.push(...(await Promise.all(some)));
    }
    return looked;
  }

  /** Those that are looked at. */
  urls(): string[] {
    const registered = this.registry.all().flatMap(({ source }) => (source?.url === undefined ? [] : [source.url]));
    return [...new Set([...this.configured.endpoints, ...this.configured.registries, ...registered])];
  }

  /** Never throws: what goes wrong is told in the answer, and logged. Stopped, it notes nothing. */
  private async lookAt(row: SourceRow, stop: Stop): Promise<Looked> {
    const { url } = row;
    this.looks += 1;
    const known = this.registry.all().filter(({ source }) => source?.url === url);
    try {
      const spoken = new Map(known.flatMap(({ endpoint, protocol }) => (endpoint === null ? [] : [[endpoint, protocol]])));
      const found = await findAt(this.own.protocols, { ...row, spoken, stop });
      const looked = found === 'unchanged' ? { here: known.map(idOf), errors: [] } : await this.enterAll(url, { found, known, stop });
      if (stop.why) throw stop.why;
      await this.noteAll(known, looked.here);
      if (found !== 'unchanged') await noteLook(this.db, url, { protocol: found.protocol, etag: found.etag });
      return { url, agents: looked.here, errors: looked.errors };
    } catch (error) {
      const why = error instanceof OrchestratorError ? error.message : `${url}: ${(error as Error).message}`;
      if (stop.why) return { url, agents: [], errors: [why] };
      this.failed += 1;
      this.warn(url, [why]);
      await noteLook(this.db, url, { error: why })
        .then(() => this.noteAll(known, []))
        .catch((lost: Error) => {
          this.lastError = lost.message;
        });
      return { url, agents: [], errors: [why] };
    }
  }

  private noteAll(known: readonly RegisteredAgent[], here: readonly string[]): Promise<void> {
    const there = new Set(here);
    return noteFound(
      this.db,
      known.map((agent) => ({ agent: idOf(agent), found: there.has(idOf(agent)) })),
    );
  }

  private async enterAll(url: string, of: { found: Found; known: readonly RegisteredAgent[]; stop: Stop }) {
    const here: string[] = [];
    const errors = [...of.found.errors];
    const known = new Map(of.known.map((agent) => [idOf(agent), agent]));
    for (const { description, document, signature } of of.found.agents) {
      if (of.stop.why) break;
      const before = known.get(description.agent_id);
      const source: Source = { ...(before?.source ?? { by: 'discovery', tenant: 'default', url }), ...(signature && { signature }) };
      if (before && isAsBefore(before, { description, source })) {
        here.push(description.agent_id); // as nearly always: nothing is read, nothing is written
        continue;
      }
      try {
        const registered = await this.own.commands.execute(
          new RegisterAgent(description, source, { document, replace: before !== undefined }),
        );
        here.push(description.agent_id);
        if (!registered.changed) continue;
        const what = registered.before ? `changed: ${changes(registered.before, description)}` : 'is new';
        this.own.log.info({ url, agent: description.agent_id }, `discovery: agent ${description.agent_id} ${printable(what)}`);
      } catch (error) {
        if (!(error instanceof OrchestratorError)) throw error;
        errors.push(`${description.agent_id}: ${error.message}`);
      }
    }
    this.warn(url, errors);
    return { here, errors };
  }

  /** Once, not with every look. */
  private warn(url: string, errors: readonly string[]): void {
    const more = errors.length > MOST_TOLD ? ` and ${errors.length - MOST_TOLD} more` : '';
    const told = printable(errors.slice(0, MOST_TOLD).join('; ')) + more;
    if (told === '') this.told.delete(url);
    else if (told !== this.told.get(url)) {
      this.own.log.warn({ url }, `discovery: ${told}`);
      this.told.set(url, told);
    }
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
    this.waiting.clear();
    for (const { stop } of this.under.values()) stop.stop(new Error('the orchestrator is shutting down'));
    await Promise.all([...this.under.values()].map(({ ended }) => ended));
  }

  status(): Record<string, unknown> {
    const { intervalSeconds } = this.own;
    return {
      addresses: this.urls().length,
      interval_seconds: intervalSeconds,
      looks: this.looks,
      failed: this.failed,
      last_error: this.lastError,
    };
  }
}

const idOf = (agent: RegisteredAgent) => agent.description.agent_id;
