/** Agents over plain HTTP: described by GET {url}/capabilities, called by POST {url}/execute. */
import { z } from 'zod';
import type { AgentDescription } from '../../agents/agent.js';
import type { Stop } from '../../agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../agents/agent-protocol.js';
import { OrchestratorError } from '../../kernel/errors.js';
import type { JsonValue } from '../../kernel/json.js';
import { agentIdFrom } from './agent-id.js';
import { getDocument } from './document.client.js';
import { HttpClient } from './http.client.js';
import type { Outgoing } from './outgoing.client.js';

const MOST_CAPABILITIES = 500;

const Text = z.string().max(4000);
/** Loosely: what does not fit our rules is told when the agent is registered. */
const Capabilities = z.object({
  agent_id: Text.optional(),
  agent_name: Text.optional(),
  name: Text.optional(),
  description: Text.optional(),
  version: Text.optional(),
  capabilities: z
    .array(
      z.object({
        name: Text,
        description: Text.optional(),
        input_schema: z.record(z.string(), z.json()).nullish(),
        output_schema: z.record(z.string(), z.json()).nullish(),
        tags: z.array(Text).nullish(),
        examples: z.array(z.json()).nullish(),
        idempotent: z.boolean().nullish(),
      }),
    )
    .min(1)
    .max(MOST_CAPABILITIES),
});

export class HttpProtocol implements AgentProtocol {
  readonly name = 'http';

  constructor(private readonly outgoing: Outgoing) {}

  async discover(url: string, asked: { readonly stop: Stop; readonly etag?: string }): Promise<Discovery | 'unchanged' | null> {
    const endpoint = url.replace(/\/+$/, '').replace(/\/capabilities$/, '');
    const document = await getDocument(this.outgoing, `${endpoint}/capabilities`, asked);
    if (document.status === 304) return 'unchanged';
    if (document.status !== 200 || document.json === undefined) return this.undescribed(endpoint, asked.stop);
    if (!namesItself(document.json)) return null; // another orchestrator's list of capabilities, or anything else of that name
    const parsed = Capabilities.safeParse(document.json);
    if (!parsed.success) {
      const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
      throw notUnderstood(`${endpoint}/capabilities does not describe an agent: ${issues.slice(0, 5).join('; ')}`);
    }
    if (await this.isInvoked(endpoint, asked.stop)) return null;
    const { etag, media_type, bytes } = document;
    const agent = { description: describe(parsed.data, endpoint), endpoint, document: { media_type, bytes } };
    return { agents: [agent], ...(etag !== undefined && { etag }) };
  }

  /** The /invoke dialect of ACP describes itself at the same path; only it has a /schema of {input, output}. */
  private async isInvoked(endpoint: string, stop: Stop): Promise<boolean> {
    const { status, json } = await getDocument(this.outgoing, `${endpoint}/schema`, { stop });
    return status === 200 && typeof json === 'object' && json !== null && 'input' in json;
  }

  /** Something that looks like an agent, but does not say what it can do. */
  private async undescribed(endpoint: string, stop: Stop): Promise<null> {
    const { status } = await getDocument(this.outgoing, `${endpoint}/health`, { stop });
    if (status < 200 || status >= 300) return null;
    throw notUnderstood(`${endpoint} answers /health, but not /capabilities: register it with a full description`);
  }

  connect({ endpoint }: { readonly endpoint: string }): HttpClient {
    return new HttpClient(endpoint, this.outgoing.connect, this.outgoing.credentials.for(endpoint));
  }
}

const namesItself = (json: JsonValue) =>
  typeof json === 'object' && json !== null && ['agent_id', 'agent_name', 'name'].some((member) => member in json);

function describe(said: z.output<typeof Capabilities>, endpoint: string): AgentDescription {
  const name = said.agent_name ?? said.name ?? said.agent_id ?? endpoint;
  return {
    agent_id: agentIdFrom(said.agent_id ?? name) || 'agent',
    name: name.slice(0, 200),
    ...(said.description !== undefined && { description: said.description }),
    ...(said.version !== undefined && { version: said.version }),
    capabilities: said.capabilities.map(({ input_schema, output_schema, tags, examples, idempotent, ...rest }) => ({
      ...rest,
      ...(input_schema && { input_schema }),
      ...(output_schema && { output_schema }),
      ...(tags && { tags }),
      ...(examples && { examples }),
      ...(idempotent && { idempotent }),
    })),
  };
}

const notUnderstood = (why: string) => new OrchestratorError('agent_not_understood', why);
