/**
 * Looks again and again at the addresses agents come from: those of the agents file, and those that were registered by address. One replica
 * looks at each in each interval. One bad address never keeps the others from being looked at.
 */
import type { CommandBus } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import type { Log } from '../kernel/log.system.js';
import type { Worker } from '../kernel/worker.js';
import type { Database } from '../ledger/database.postgres.js';
import type { AgentProtocols } from './agent-protocols.js';
import type { Sources } from './agent-source.js';
import { RegisterAgent } from './agents.commands.js';
import { changes } from './changes.js';
import type { AgentRegistry, RegisteredAgent } from './directory.js';
import { type Found, findAt } from './find-at.system.js';
import type { Source } from './registration.js';
import { dueSources, noteLook, type SourceRow, takeSources } from './sources.postgres.js';
import { noteFound } from './watch.postgres.js';

const LOOK_MS = 1000;
const AT_ONCE = 16;

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
  private readonly told = new Map<string, string>();
  private configured: Sources = { endpoints: [], registries: [] };
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
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

  look(): Promise<void> {
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
    const due = await dueSources(this.db, this.urls());
    for (let i = 0; i < due.length; i += AT_ONCE) {
      const taken = await takeSources(this.db, due.slice(i, i + AT_ONCE).sort(), this.own.intervalSeconds);
      await Promise.all(taken.map((row) => this.lookAt(row)));
    }
    this.lastError = null;
  }

  /** Now, due or not. */
  async refresh(urls: readonly string[]): Promise<Looked[]> {
    const looked: Looked[] = [];
    for (let i = 0; i < urls.length; i += AT_ONCE) {
      const some = urls.slice(i, i + AT_ONCE).map((url) => this.lookAt({ url, protocol: null, etag: null }));
      looked.push(...(await Promise.all(some)));
    }
    return looked;
  }

  /** Those that are looked at. */
  urls(): string[] {
    const registered = this.registry.all().flatMap(({ source }) => (source?.url === undefined ? [] : [source.url]));
    return [...new Set([...this.configured.endpoints, ...this.configured.registries, ...registered])];
  }

  /** Never throws: what goes wrong is told in the answer, and logged. */
  private async lookAt(row: SourceRow): Promise<Looked> {
    const { url } = row;
    this.looks += 1;
    const known = this.registry.all().filter(({ source }) => source?.url === url);
    try {
      const spoken = new Map(known.flatMap(({ endpoint, protocol }) => (endpoint === null ? [] : [[endpoint, protocol]])));
      const found = await findAt(this.own.protocols, { ...row, spoken });
      const looked = found === 'unchanged' ? { here: known.map(idOf), errors: [] } : await this.enterAll(url, found, known);
      for (const id of known.map(idOf)) await noteFound(this.db, id, looked.here.includes(id));
      if (found !== 'unchanged') await noteLook(this.db, url, { protocol: found.protocol, etag: found.etag });
      return { url, agents: looked.here, errors: looked.errors };
    } catch (error) {
      const why = error instanceof OrchestratorError ? error.message : `${url}: ${(error as Error).message}`;
      this.failed += 1;
      this.warn(url, [why]);
      await noteLook(this.db, url, { error: why })
        .then(() => Promise.all(known.map((agent) => noteFound(this.db, idOf(agent), false))))
        .catch((lost: Error) => {
          this.lastError = lost.message;
        });
      return { url, agents: [], errors: [why] };
    }
  }

  private async enterAll(url: string, found: Found, known: readonly RegisteredAgent[]): Promise<{ here: string[]; errors: string[] }> {
    const here: string[] = [];
    const errors = [...found.errors];
    for (const { description, document, signature } of found.agents) {
      const before = known.find((agent) => idOf(agent) === description.agent_id)?.source;
      const source: Source = { ...(before ?? { by: 'discovery', tenant: 'default', url }), ...(signature && { signature }) };
      try {
        const registered = await this.own.commands.execute(
          new RegisterAgent(description, source, { document, replace: before !== undefined }),
        );
        here.push(description.agent_id);
        if (!registered.changed) continue;
        const what = registered.before ? `changed: ${changes(registered.before, description)}` : 'is new';
        this.own.log.info({ url, agent: description.agent_id }, `discovery: agent ${description.agent_id} ${what}`);
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
    const told = errors.join('; ');
    if (told !== '' && told !== this.told.get(url)) this.own.log.warn({ url }, `discovery: ${told}`);
    this.told.set(url, told);
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
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
