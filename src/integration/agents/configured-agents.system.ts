/** Reads data/agents.json: agents in this process by module, agents over HTTP by endpoint. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { Agent, AgentDescription } from '../../agents/agent.js';
import { AgentSource, type ConfiguredAgent } from '../../agents/agent-source.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { parseJson, toJsonValue } from '../../kernel/json.js';
import { HttpClient } from './http.client.js';
import { InProcessClient } from './in-process.client.js';

const Module = z.strictObject({ module: z.string().min(1) });
const Remote = AgentDescription.extend({
  protocol: z.literal('http').default('http'),
  endpoint: z.url({ protocol: /^https?$/ }),
}).strict();
const AgentsFile = z.strictObject({ agents: z.array(z.union([Module, Remote])).max(1000) });

export class ConfiguredAgents extends AgentSource {
  constructor(private readonly file: string) {
    super();
  }

  async load(): Promise<ConfiguredAgent[]> {
    const { agents } = this.check(AgentsFile, await this.read(), this.file);
    const loaded: ConfiguredAgent[] = [];
    for (const entry of agents) loaded.push('module' in entry ? await this.inProcess(entry.module) : remote(entry));
    const ids = loaded.map((a) => a.description.agent_id);
    const twice = ids.find((id, i) => ids.indexOf(id) !== i);
    if (twice) throw this.wrong(`agent id "${twice}" stands there twice; every agent needs its own`);
    return loaded;
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
    let exported: { default?: new () => Agent };
    try {
      exported = (await import(process.platform === 'win32' ? pathToFileURL(path).href : path)) as typeof exported;
    } catch (error) {
      throw this.wrong(`module "${module}" cannot be loaded: ${(error as Error).message}`);
    }
    if (typeof exported.default !== 'function')
      throw this.wrong(`module "${module}" has no default export that is a class; export default class … extends Agent`);
    const agent = this.made(module, exported.default);
    if (typeof agent.execute !== 'function') throw this.wrong(`the class of module "${module}" has no execute(task, {signal})`);
    let described: unknown;
    try {
      described = toJsonValue(agent.description); // as it will be recorded: members that are undefined are not there
    } catch (error) {
      throw this.wrong(`module "${module}": its description is not plain data: ${(error as Error).message}`);
    }
    const description = this.check(AgentDescription, described, `${this.file}: module "${module}": description`);
    return { description, protocol: 'in-process', endpoint: null, client: new InProcessClient(agent) };
  }

  private made(module: string, agentClass: new () => Agent): Agent {
    try {
      return new agentClass();
    } catch (error) {
      throw this.wrong(`module "${module}": new ${agentClass.name}() fails: ${error instanceof Error ? error.message : 'it throws'}`);
    }
  }

  private check<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const issues = parsed.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
    throw new OrchestratorError('bad_configuration', `${where} is wrong: ${issues.join('; ')}`);
  }

  private wrong(why: string): OrchestratorError {
    return new OrchestratorError('bad_configuration', `agents file ${this.file}: ${why.replace(/\s*\n\s*/g, ' ')}`);
  }
}

function remote({ protocol, endpoint, ...description }: z.output<typeof Remote>): ConfiguredAgent {
  return { description, protocol, endpoint, client: new HttpClient(endpoint) };
}
