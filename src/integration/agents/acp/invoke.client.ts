/** Agents of the plain dialect: POST /invoke {input, config?, stream} → {id, output, status, metadata}. Hanging up is the only way to cancel. */
import type { Pool } from 'undici';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health, type Stop } from '../../../agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../../agents/agent-protocol.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { traceHeaders } from '../../../kernel/trace.js';
import { broken } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { AcpServer } from './acp-server.client.js';
import {
  AgentInfo,
  answered,
  Capabilities,
  concluded,
  DONE,
  described,
  describedBySchema,
  invocationOf,
  Schema,
  Step,
  wordsOf,
} from './invoke.js';
import { eventData, invalid, issueOf, readJson } from './reading.client.js';

export class InvokeProtocol implements AgentProtocol {
  readonly name = 'acp-invoke';

  constructor(private readonly outgoing: Outgoing) {}

  /** The agent of /capabilities, or else of /schema. */
  async discover(url: string, { stop, etag }: { stop: Stop; etag?: string }): Promise<Discovery | 'unchanged' | null> {
    await this.outgoing.check(url);
    const endpoint = endpointOf(url);
    const server = new AcpServer(this.outgoing, endpoint);
    const capabilities = await server.changed({ method: 'GET', path: '/capabilities' }, etag, stop);
    if (capabilities === 'unchanged') return capabilities;
    const said = Capabilities.safeParse(capabilities?.json);
    if (capabilities && said.success) {
      const description = usable(described(said.data), 'capabilities');
      const { bytes, media_type, etag: now } = capabilities;
      return { agents: [{ description, endpoint, document: { bytes, media_type } }], ...(now !== undefined && { etag: now }) };
    }
    const schema = await server.document({ method: 'GET', path: '/schema' }, stop);
    const schemas = Schema.safeParse(schema?.json).data;
    if (!schema || !schemas) return null;
    const info = await server.document({ method: 'GET', path: '/agent-info' }, stop);
    const description = usable(describedBySchema(schemas, AgentInfo.safeParse(info?.json).data ?? {}, new URL(url).hostname), 'schema');
    return { agents: [{ description, endpoint, document: { bytes: schema.bytes, media_type: schema.media_type } }] };
  }

  connect({ endpoint, description }: { endpoint: string; description: KnownDescription }): AgentClient {
    return new InvokeClient(this.outgoing, endpoint, description);
  }
}

class InvokeClient extends AgentClient {
  private readonly pool: Pool;
  private readonly server: AcpServer;
  private readonly several: boolean;

  constructor(outgoing: Outgoing, endpoint: string, description: KnownDescription) {
    super();
    this.pool = outgoing.poolTo(endpointOf(endpoint));
    this.server = new AcpServer(outgoing, endpointOf(endpoint), this.pool);
    this.several = description.capabilities.length > 1;
  }

  async call(task: Task, options: CallOptions): Promise<Answer> {
    try {
      return await this.invoke(task, options);
    } catch (error) {
      return broken(error);
    }
  }

  private async invoke(task: Task, { stop, trace, progress }: CallOptions): Promise<Answer> {
    let answer: Answer | null = null;
    const hear = (data: string): boolean => {
      if (data === DONE) answer = invalid('the stream is done without a result');
      else {
        const json = eventData(data);
        const step = Step.safeParse(json);
        answer = step.success
          ? concluded(step.data, json)
          : invalid(`the stream has an event that cannot be read: ${issueOf(step.error)}`, json);
        if (step.success && !answer) progress?.({ status: step.data.message ?? step.data.status });
      }
      return answer !== null;
    };
    const headers = {
      'idempotency-key': task.task_id,
      accept: progress ? 'text/event-stream, application/json' : 'application/json',
      ...traceHeaders(trace, task.task_id),
    };
    const body = invocationOf(task, { several: this.several, stream: progress !== undefined });
    const { heard, ...whole } = await this.server.listen({ method: 'POST', path: '/invoke', headers, body }, stop, hear);
    if (answer) return answer;
    if (heard) return invalid('the stream ended without a result');
    const read = readJson(whole, wordsOf);
    return 'json' in read ? answered(read.json) : read;
  }

  health(): Promise<Health> {
    return this.server.probe({ method: 'GET', path: '/health' });
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }
}

/** Throws `agent_not_understood`. */
function usable(description: KnownDescription | string, path: string): KnownDescription {
  if (typeof description !== 'string') return description;
  throw new OrchestratorError('agent_not_understood', `what its /${path} says cannot be used: ${description}`);
}

function endpointOf(url: string): string {
  const { origin, pathname } = new URL(url);
  return origin + pathname.replace(/\/+$/, '').replace(/\/invoke$/, '');
}
