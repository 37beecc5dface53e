/** Reads data/agents.json: agents in this process by module, agents elsewhere by protocol, and where to discover more. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { Agent, AgentDescription } from '../../agents/agent.js';
import type { AgentProtocol } from '../../agents/agent-protocol.js';
import { AgentSource, type ConfiguredAgent, type Sources } from '../../agents/agent-source.js';
import { AgentLimits, Registration } from '../../agents/registration.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { parseJson, toJsonValue } from '../../kernel/json.js';
import { Credentials } from '../tokens/credentials.client.js';
import { InProcessClient, textOf } from './in-process.client.js';
import { ConfiguredMcp, mcpAgent } from './mcp/configured-mcp.system.js';

/** For a module that waits for something at its top level. */
const LOAD_MS = 30_000;

/** MCP servers may be started by us, so their entries say more than an address. */
const MCP = 'mcp';

const Module = z.strictObject({ module: z.string().min(1), ...AgentLimits.shape });
const Remote = Registration.omit({ lease_seconds: true }).required({ endpoint: true }).strict();
const Addresses = z.array(Registration.shape.endpoint.unwrap()).max(1000).default([]);
const AgentsFile = z.strictObject({
  agents: z.array(z.record(z.string(), z.unknown())).max(1000),
  endpoints: Addresses,
  registries: Addresses,
});

type Entry = z.output<typeof AgentsFile>['agents'][number];

interface Options {
  readonly loadMs?: number;
  readonly log?: (message: string) => void;
  /** For MCP servers over HTTP; the other protocols have theirs. */
  readonly credentials?: Credentials;
}

export class ConfiguredAgents extends AgentSource {
  private readonly loadMs: number;
  private readonly log: (message: string) => void;
  private readonly credentials: Credentials;

  constructor(
    private readonly file: string,
    /** For agents elsewhere. They are the operator's own: they may be where those of strangers may not. */
    private readonly protocols: readonly AgentProtocol[],
    { loadMs = LOAD_MS, log = () => undefined, credentials = Credentials.none }: Options = {},
  ) {
    super();
    this.loadMs = loadMs;
    this.log = log;
    this.credentials = credentials;
  }

  async load(): Promise<ConfiguredAgent[]> {
    const { agents } = this.check(AgentsFile, await this.read(), 'its content');
    const made = await Promise.allSettled(agents.map((entry, i) => this.agent(entry, `agents.${i}`)));
    const loaded = made.flatMap((one) => (one.status === 'fulfilled' && one.value ? [one.value] : []));
    try {
      for (const one of made) if (one.status === 'rejected') throw one.reason;
      const ids = loaded.map((a) => a.description.agent_id);
      const twice = ids.find((id, i) => ids.indexOf(id) !== i);
      if (twice) throw this.wrong(`agent id "${twice}" stands there twice; every agent needs its own`);
    } catch (error) {
      await Promise.all(loaded.map(({ client }) => client.close())); // some have started processes
      throw error;
    }
    return loaded;
  }

  async sources(): Promise<Sources> {
    const { endpoints, registries } = this.check(AgentsFile, await this.read(), 'its content');
    return { endpoints, registries };
  }

  /** null: left out, as the log says. */
  private async agent(entry: Entry, at: string): Promise<ConfiguredAgent | null> {
    if ('module' in entry) {
      const { module, ...limits } = this.check(Module, entry, at);
      const agent = await this.inProcess(module);
      return { ...agent, description: { ...agent.description, ...limits } };
    }
    const where = typeof entry['agent_id'] === 'string' ? `agent "${entry['agent_id']}"` : at;
    if (entry['protocol'] === MCP) {
      const { credentials, log } = this;
      return mcpAgent(this.check(ConfiguredMcp, entry, where), { directory: dirname(this.file), credentials, log });
    }
    const spoken = this.protocols.find(({ name }) => name === (entry['protocol'] ?? 'http'));
    if (!spoken) {
      const known = this.protocols.map(({ name }) => name).join(', ');
      throw this.wrong(`${where} is wrong: protocol: "${String(entry['protocol'])}" is not spoken here, but ${known}`);
    }
    const { protocol, endpoint, ...description } = this.check(Remote, entry, where);
    return { description, protocol, endpoint, client: spoken.connect({ endpoint, description }) };
  }

  private async read(): Promise<unknown> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      throw this.wrong(`cannot be read: ${(error as Error).message}; set AGENTS_FILE or put {"agents": []} there`);
    }
    try {
      return parseJson(text);
    } catch (error) {
      throw this.wrong((error as Error).message);
    }
  }

  private async inProcess(module: string): Promise<ConfiguredAgent> {
    const path = resolve(dirname(this.file), module);
    const there = await stat(path).catch(() => null);
    if (!there?.isFile()) throw this.wrong(`module "${module}": there is no file ${path}; name it relative to the agents file`);
    const exported = await this.imported(module, path);
    if (typeof exported.default !== 'function')
      throw this.wrong(`module "${module}" has no default export that is a class; export default class … extends Agent`);
    const agent = this.made(module, exported.default);
    if (typeof agent.execute !== 'function') throw this.wrong(`the class of module "${module}" has no execute(task, {signal})`);
    let described: unknown;
    try {
      described = toJsonValue(agent.description); // as it will be recorded: members that are undefined are not there
    } catch (error) {
      throw this.wrong(`module "${module}": its description is not plain data: ${textOf(error)}`);
    }
    const description = this.check(AgentDescription, described, `module "${module}": description`);
    return { description, protocol: 'in-process', endpoint: null, client: new InProcessClient(agent) };
  }

  /** As a URL: in a bare path `%`, `#` and `?` would mean something else. */
  private async imported(module: string, path: string): Promise<{ default?: new () => Agent }> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it is not ready after ${this.loadMs} ms; what awaits at its top level?`)), this.loadMs);
    });
    try {
      return await Promise.race([import(pathToFileURL(path).href) as Promise<{ default?: new () => Agent }>, late]);
    } catch (error) {
      throw this.wrong(`module "${module}" cannot be loaded: ${textOf(error)}`);
    } finally {
      clearTimeout(timer);
    }
  }

  private made(module: string, agentClass: new () => Agent): Agent {
    try {
      return new agentClass();
    } catch (error) {
      throw this.wrong(`module "${module}": new ${agentClass.name}() fails: ${textOf(error)}`);
    }
  }

  private check<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const issues = parsed.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
    throw this.wrong(`${where} is wrong: ${issues.join('; ')}`);
  }

  private wrong(why: string): OrchestratorError {
    return new OrchestratorError('bad_configuration', `agents file ${this.file}: ${why.replace(/\s*\n\s*/g, ' ')}`);
  }
}
