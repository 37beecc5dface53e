/**
 * Agents of the Agent Connect Protocol 0.2 (AGNTCY), stateless runs. A run is waited for by one request, POST /runs/wait, and asked to be cancelled
 * when its caller hangs up, since it has no name before it ended; where somebody listens and the agent streams, POST /runs/stream.
 */
import type { Pool } from 'undici';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health, type Stop } from '../../../agents/agent-client.js';
import type { AgentProtocol, Discovered, Discovery } from '../../../agents/agent-protocol.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import type { JsonValue } from '../../../kernel/json.js';
import { traceHeaders } from '../../../kernel/trace.js';
import { touched } from '../fault.js';
import { broken } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { AcpServer, type Request } from './acp-server.client.js';
import {
  answered,
  Continuation,
  concluded,
  Descriptor,
  described,
  errorOf,
  FoundAgent,
  Run,
  runOf,
  STREAMING,
  Update,
  Waited,
} from './agntcy.js';
import { everyone, listed, PAGE } from './listing.js';
import { OpenRun } from './open-run.client.js';
import { addressOf, eventData, invalid, issueOf, readJson } from './reading.client.js';

export class AgntcyProtocol implements AgentProtocol {
  readonly name = 'acp-agntcy';

  constructor(private readonly outgoing: Outgoing) {}

  /** Of a server all agents its search finds, of an address that ends in /agents/{agent_id} that one. A search has no etag. */
  async discover(url: string, { stop }: { stop: Stop }): Promise<Discovery | null> {
    await this.outgoing.check(url);
    const { base, agent } = addressOf(url);
    const server = new AcpServer(this.outgoing, base);
    if (agent !== null) {
      const document = await server.document({ method: 'GET', path: `/agents/${agent}` }, stop);
      const found = FoundAgent.safeParse(document?.json).data;
      return found ? { agents: [await descriptor(server, base, found.agent_id, stop)] } : null;
    }
    const found = await listed(
      async (offset) => {
        const document = await server.document({ method: 'POST', path: '/agents/search', body: { limit: PAGE, offset } }, stop);
        return Array.isArray(document?.json) ? document.json : null;
      },
      (agent) => FoundAgent.safeParse(agent).data?.agent_id,
    );
    return found && everyone(found, (id) => descriptor(server, base, id, stop));
  }

  connect({ endpoint, description }: { endpoint: string; description: KnownDescription }): AgentClient {
    return new AgntcyClient(this.outgoing, endpoint, description);
  }
}

class AgntcyClient extends AgentClient {
  override readonly conversational = true;
  private readonly pool: Pool;
  private readonly server: AcpServer;
  private readonly agent: string | null;

  /** An endpoint that does not end in /agents/{agent_id} is a server with one agent, its default. */
  constructor(
    outgoing: Outgoing,
    endpoint: string,
    private readonly description: KnownDescription,
  ) {
    super();
    const { base, agent } = addressOf(endpoint);
    this.pool = outgoing.poolTo(base);
    this.server = new AcpServer(outgoing, base, this.pool);
    this.agent = agent;
  }

  async call(task: Task, options: CallOptions): Promise<Answer> {
    const { stop, continuation } = options;
    const interrupted = continuation === undefined ? null : (Continuation.safeParse(continuation).data ?? null);
    const open = new OpenRun((id, until) => this.server.ask({ method: 'POST', path: `/runs/${id}/cancel` }, until), false);
    try {
      const asking = interrupted ? this.resume(interrupted.run_id, task, options, open) : this.start(task, options, open);
      const answer = await open.until(stop, asking);
      return open.begun ? touched(answer) : answer;
    } catch (error) {
      const failure = open.begun ? touched(broken(error)) : broken(error);
      // Nobody knows what of it reached the agent: the conversation stands where it stood.
      return { ...failure, ...(interrupted && { continuation: interrupted }) };
    }
  }

  private start(task: Task, options: CallOptions, open: OpenRun): Promise<Answer> {
    const body = runOf(task, this.agent);
    const { progress } = options;
    const tags = this.description.capabilities.find(({ name }) => name === task.capability)?.tags ?? [];
    const stream_mode = tags.includes(STREAMING.custom) ? ['values', 'custom'] : 'values';
    const headers = headersOf(task, options);
    if (!progress || !tags.includes(STREAMING.values)) return this.wait({ method: 'POST', path: '/runs/wait', body, headers }, null, open);
    return this.stream({ method: 'POST', path: '/runs/stream', body: { ...body, stream_mode }, headers }, { progress, open });
  }

  /** The parameters are the payload of the resume. */
  private async resume(id: string, task: Task, options: CallOptions, open: OpenRun): Promise<Answer> {
    open.named(id);
    const headers = headersOf(task, options);
    const read = readJson(
      await this.server.ask({ method: 'POST', path: `/runs/${id}`, body: task.parameters, headers }, open.wire),
      errorOf,
    );
    if (!('json' in read)) return read;
    const run = Run.safeParse(read.json);
    if (!run.success) return invalid(`the run cannot be read: ${issueOf(run.error)}`, read.json);
    if (run.data.run_id !== id) return otherRun(run.data.run_id, id, read.json);
    return this.wait({ method: 'GET', path: `/runs/${id}/wait` }, id, open);
  }

  private async wait(request: Request, id: string | null, open: OpenRun): Promise<Answer> {
    const read = readJson(await this.server.ask(request, open.wire), errorOf);
    if (!('json' in read)) return read;
    const waited = Waited.safeParse(read.json);
    if (!waited.success) return invalid(`the outcome of the run cannot be read: ${issueOf(waited.error)}`, read.json);
    const { run, output } = waited.data;
    const expected = id ?? run?.run_id ?? null;
    for (const said of [run?.run_id, output.type === 'error' ? output.run_id : null])
      if (said && expected !== null && said !== expected) return otherRun(said, expected, read.json);
    if (run?.agent_id && this.agent !== null && run.agent_id !== this.agent)
      return invalid(`the agent answers for the agent ${run.agent_id.slice(0, 100)}`, read.json);
    return answered(waited.data, id, read.json);
  }

  private async stream(
    request: Request,
    { progress, open }: { progress: NonNullable<CallOptions['progress']>; open: OpenRun },
  ): Promise<Answer> {
    let answer: Answer | null = null;
    let id: string | null = null;
    const hear = (data: string): boolean => {
      const json = eventData(data);
      const update = Update.safeParse(json);
      if (!update.success) answer = invalid(`the stream has an event that cannot be read: ${issueOf(update.error)}`, json);
      else if (id !== null && update.data.run_id && update.data.run_id !== id) answer = otherRun(update.data.run_id, id, json);
      else {
        id ??= update.data.run_id ?? null;
        if (id !== null) open.named(id);
        if (update.data.type === 'custom') progress({ delta: textOf(update.data.update) });
        else progress({ status: update.data.status });
        answer = concluded(update.data, json);
      }
      return answer !== null;
    };
    const headers = { ...request.headers, accept: 'text/event-stream, application/json' };
    const { heard, ...whole } = await this.server.listen({ ...request, headers }, open.wire, hear);
    if (answer) return answer;
    if (heard) return invalid('the stream ended before the run did');
    const read = readJson(whole, errorOf);
    return 'json' in read ? invalid('the agent was asked to stream and answered otherwise', read.json) : read;
  }

  /** The protocol has no health: the agent is well if its server knows it. */
  health(): Promise<Health> {
    if (this.agent !== null) return this.server.probe({ method: 'GET', path: `/agents/${this.agent}` });
    return this.server.probe({ method: 'POST', path: '/agents/search', body: { limit: 1 } });
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }
}

/** Throws `agent_not_understood`. */
async function descriptor(server: AcpServer, base: string, id: string, stop: Stop): Promise<Discovered> {
  const document = await server.document({ method: 'GET', path: `/agents/${id}/descriptor` }, stop);
  if (document === null) throw new OrchestratorError('agent_not_understood', 'it has no descriptor');
  const parsed = Descriptor.safeParse(document.json);
  const description = parsed.success ? described(parsed.data) : issueOf(parsed.error);
  if (typeof description === 'string') throw new OrchestratorError('agent_not_understood', `its descriptor cannot be used: ${description}`);
  return { description, endpoint: `${base}/agents/${id}`, document: { media_type: document.media_type, bytes: document.bytes } };
}

const headersOf = (task: Task, { trace }: CallOptions) => ({ 'idempotency-key': task.task_id, ...traceHeaders(trace, task.task_id) });
const otherRun = (said: string, expected: string, raw: JsonValue) =>
  invalid(`the agent answers for another run, ${said} instead of ${expected}`, raw);
const textOf = (update: JsonValue) => (typeof update === 'string' ? update : JSON.stringify(update));
