/**
 * Agents of the Agent Communication Protocol 0.2 (IBM, BeeAI). A run is asked for with mode `stream`: the agent names it at once, so that it can
 * be cancelled, and a stream that breaks is no lost run: its state is asked for until it ended. An agent that answers with JSON instead, the
 * whole run (as in mode `sync`) or one that is still open (`async`), is understood as well.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Pool } from 'undici';
import type { KnownDescription, Task } from '../../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health, type Stop } from '../../../agents/agent-client.js';
import type { AgentProtocol, Discovered, Discovery } from '../../../agents/agent-protocol.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { traceHeaders } from '../../../kernel/trace.js';
import { touched } from '../fault.js';
import { broken, type Failure } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { AcpServer, type Document, type Request } from './acp-server.client.js';
import { Continuation, described, inputOf, Listing, Manifest, resumeOf, wordsOf } from './beeai.js';
import { BeeAiRun } from './beeai-run.client.js';
import { everyone, listed, PAGE } from './listing.js';
import { OpenRun } from './open-run.client.js';
import { addressOf, invalid, issueOf, readJson } from './reading.client.js';

const FIRST_POLL_MS = 50;
const MOST_POLL_MS = 2000;
/** In a row: a run of hours must not end by one lost packet. */
const MOST_POLLS_LOST = 3;

export class BeeAiProtocol implements AgentProtocol {
  readonly name = 'acp-beeai';

  constructor(private readonly outgoing: Outgoing) {}

  /** Of a server all its agents, of an address that ends in /agents/{name} that one. */
  async discover(url: string, { stop, etag }: { stop: Stop; etag?: string }): Promise<Discovery | 'unchanged' | null> {
    await this.outgoing.check(url);
    const { base, agent } = addressOf(url);
    const server = new AcpServer(this.outgoing, base);
    if (agent !== null) {
      const manifest = await server.changed({ method: 'GET', path: `/agents/${agent}` }, etag, stop);
      if (manifest === null || manifest === 'unchanged') return manifest;
      if (!Manifest.safeParse(manifest.json).success) return null;
      return { agents: [understood(base, manifest)], ...(manifest.etag !== undefined && { etag: manifest.etag }) };
    }
    const pageAt = (offset: number): Request => ({ method: 'GET', path: `/agents?limit=${PAGE}&offset=${offset}` });
    const first = await server.changed(pageAt(0), etag, stop);
    if (first === 'unchanged') return first;
    const found = await listed(
      async (offset) => {
        const page = offset === 0 ? first : await server.document(pageAt(offset), stop);
        return Listing.safeParse(page?.json).data?.agents ?? null;
      },
      (listing) => Manifest.safeParse(listing).data?.name,
    );
    if (!found) return null;
    const discovery = await everyone(found, async (name) => {
      const manifest = await server.document({ method: 'GET', path: `/agents/${name}` }, stop);
      if (!manifest) throw new OrchestratorError('agent_not_understood', 'it is listed, but has no manifest');
      return understood(base, manifest);
    });
    // An etag of the first page says nothing of the others.
    return { ...discovery, ...(first?.etag !== undefined && found.names.length < PAGE && { etag: first.etag }) };
  }

  connect({ endpoint, description }: { endpoint: string; description: KnownDescription }): AgentClient {
    return new BeeAiClient(this.outgoing, endpoint, description);
  }
}

class BeeAiClient extends AgentClient {
  override readonly conversational = true;
  private readonly pool: Pool;
  private readonly server: AcpServer;
  private readonly agent: string;
  private readonly several: boolean;

  /** An endpoint that does not end in /agents/{name} is a server whose agent is called as the description's agent_id. */
  constructor(outgoing: Outgoing, endpoint: string, description: KnownDescription) {
    super();
    const { base, agent } = addressOf(endpoint);
    this.pool = outgoing.poolTo(base);
    this.server = new AcpServer(outgoing, base, this.pool);
    this.agent = agent ?? description.agent_id;
    this.several = description.capabilities.length > 1;
  }

  async call(task: Task, options: CallOptions): Promise<Answer> {
    const before = Continuation.safeParse(options.continuation).data ?? {};
    const open = new OpenRun((id, stop) => this.server.ask({ method: 'POST', path: `/runs/${id}/cancel` }, stop), true);
    if (before.run_id !== undefined) open.named(before.run_id);
    try {
      const answer = await open.until(options.stop, this.run(task, before, options, open));
      return open.begun ? touched(answer) : answer;
    } catch (error) {
      const failure = open.begun ? touched(broken(error)) : broken(error);
      // Nobody knows what of it reached the agent: the conversation stands where it stood.
      return { ...failure, ...(options.continuation !== undefined && { continuation: options.continuation }) };
    }
  }

  private async run(task: Task, before: Continuation, { trace, progress }: CallOptions, open: OpenRun): Promise<Answer> {
    const run = new BeeAiRun(this.agent, before.run_id ?? null, { open, progress });
    const headers = {
      'idempotency-key': task.task_id,
      accept: 'text/event-stream, application/json',
      ...traceHeaders(trace, task.task_id),
    };
    try {
      const request = { ...this.requestOf(task, before), headers };
      const { heard, ...whole } = await this.server.listen(request, open.wire, (data) => run.hear(data));
      if (!heard) {
        const read = readJson(whole, wordsOf);
        if (!('json' in read)) return forgetting(read, before);
        run.take(read.json);
      }
    } catch (error) {
      if (run.id === null || !isLost(error)) throw error;
    }
    return run.answer ?? (run.id === null ? invalid('the stream ended before it named its run') : this.outcome(run.id, run, open.wire));
  }

  private requestOf(task: Task, before: Continuation): Request {
    const { run_id, session_id } = before;
    if (run_id !== undefined)
      return { method: 'POST', path: `/runs/${run_id}`, body: { run_id, await_resume: resumeOf(task, before), mode: 'stream' } };
    const input = [inputOf(task, this.several)];
    return { method: 'POST', path: '/runs', body: { agent_name: this.agent, input, mode: 'stream', ...(session_id && { session_id }) } };
  }

  /** Asks until the run ended. The caller's `stop` bounds it. */
  private async outcome(id: string, run: BeeAiRun, stop: Stop): Promise<Answer> {
    let lost = 0;
    for (let wait = FIRST_POLL_MS; ; wait = Math.min(wait * 2, MOST_POLL_MS)) {
      await pause(wait, undefined, { signal: stop.signal });
      try {
        const read = readJson(await this.server.ask({ method: 'GET', path: `/runs/${id}` }, stop), wordsOf);
        if (!('json' in read)) return read;
        run.take(read.json);
        if (run.answer) return run.answer;
        lost = 0;
      } catch (error) {
        lost += 1;
        if (lost === MOST_POLLS_LOST || !isLost(error)) throw error;
      }
    }
  }

  health(): Promise<Health> {
    return this.server.probe({ method: 'GET', path: '/ping' });
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }
}

/** Throws `agent_not_understood`. */
function understood(base: string, { json, bytes, media_type }: Document): Discovered {
  const manifest = Manifest.safeParse(json);
  const description = manifest.success ? described(manifest.data) : issueOf(manifest.error);
  if (!manifest.success || typeof description === 'string')
    throw new OrchestratorError('agent_not_understood', `its manifest cannot be used: ${description as string}`);
  return { description, endpoint: `${base}/agents/${manifest.data.name}`, document: { media_type, bytes } };
}

/** The connection's fault, not the agent's words'. */
const isLost = (error: unknown) => !(error instanceof OrchestratorError && error.code === 'payload_too_large');

/** A run that cannot be resumed is over, its session is not. */
function forgetting(failure: Failure, { run_id, session_id }: Continuation): Failure {
  return run_id !== undefined && session_id !== undefined ? { ...failure, continuation: { session_id } } : failure;
}
