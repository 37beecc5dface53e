/**
 * Calls an agent over plain HTTP: POST {endpoint}/execute {task_id, capability, parameters, context} → {success, data?, error?}.
 * undici rather than axios: a kept-alive pool costs a fraction per call, and nothing else of axios is wanted on this path.
 */
import { type buildConnector, errors, Pool } from 'undici';
import type { Task } from '../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health, Stop } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { type JsonValue, parseJsonBytes } from '../../kernel/json.js';
import { traceHeaders } from '../../kernel/trace.js';
import type { Credential } from '../tokens/credentials.client.js';
import { MAX_ANSWER_BYTES, rawOf, readAnswer } from './answer.js';
import { exchange, type HttpAnswer, type HttpHead } from './exchange.client.js';
import { neverSent, turnedAway } from './fault.js';

const CONNECT_MS = 5000;
const HEALTH_MS = 5000;
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEALTH_BYTES = 64 * 1024;
const MAX_SHOWN = 200;

export type Failure = Extract<Answer, { success: false }>;

/** The contract stands for the span: its id has no 8 bytes to spare, so the parent id is cut from the trace. */
export class HttpClient extends AgentClient {
  private readonly pool: Pool;
  /** Its own connection: calls that fill the pool must not make a well agent look ill. */
  private readonly probes: Pool;
  private readonly path: string;
  private probing: Promise<Health> | null = null;

  /** `connect`: the way out, where the address is not everybody's to reach. */
  constructor(
    endpoint: string,
    connect?: buildConnector.connector,
    private readonly credential?: Credential,
  ) {
    super();
    const url = new URL(endpoint);
    this.path = url.pathname.replace(/\/$/, '');
    // No timeout of their own: whoever asks sets one.
    const own = {
      pipelining: 1,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: connect ?? { timeout: CONNECT_MS },
    };
    this.pool = new Pool(url.origin, { ...own, connections: 128 });
    this.probes = new Pool(url.origin, { ...own, connections: 1 });
  }

  async call(task: Task, { stop, trace }: CallOptions): Promise<Answer> {
    const headers = traceHeaders(trace, task.task_id);
    headers['content-type'] = 'application/json';
    headers['accept'] = 'application/json';
    headers['idempotency-key'] = task.task_id;
    const path = `${this.path}/execute`;
    let answer: HttpAnswer;
    try {
      const { credential } = this;
      const body = JSON.stringify(task);
      answer = await exchange(this.pool, { method: 'POST', path, headers, body, credential, maxBytes: MAX_ANSWER_BYTES }, stop);
    } catch (error) {
      return broken(error);
    }
    const wrong = refused(answer);
    if (wrong) return { success: false, ...wrong, raw: rawOf(answer.bytes) };
    try {
      return readAnswer(parseJsonBytes(answer.bytes) as JsonValue);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return { success: false, code: 'agent_invalid_response', message: error.message, raw: rawOf(answer.bytes) };
    }
  }

  /** Those who ask while a probe is under way share it. */
  health(): Promise<Health> {
    this.probing ??= this.probe().finally(() => {
      this.probing = null;
    });
    return this.probing;
  }

  /** GET {endpoint}/health: 2xx is healthy, whatever the body says; 404 says only that the agent has no such path. */
  private async probe(): Promise<Health> {
    const stop = new Stop();
    const timer = setTimeout(() => stop.stop(new Error(`no answer within ${HEALTH_MS / 1000} s`)), HEALTH_MS);
    const headers = { accept: 'application/json' };
    try {
      const { status } = await exchange(
        this.probes,
        { method: 'GET', path: `${this.path}/health`, headers, credential: this.credential, maxBytes: MAX_HEALTH_BYTES },
        stop,
      );
      if (status >= 200 && status < 300) return { status: 'healthy', error: null };
      if (status === 404) return { status: 'unknown', error: 'the agent has no /health' };
      return { status: 'unhealthy', error: `GET /health answered HTTP ${status}` };
    } catch (error) {
      return { status: 'unhealthy', error: `GET /health failed: ${reason(error)}` };
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.pool.destroy(), this.probes.destroy()]);
  }
}

/** No answer, or not one that could be read to its end. */
export function broken(error: unknown): Failure {
  const { code, message } = error as { code?: string; message: string };
  const failure = (as: Failure['code'], what = message): Failure => ({ success: false, code: as, message: what });
  if (code === 'payload_too_large') return failure('agent_response_too_large');
  if (code === 'UND_ERR_HEADERS_OVERFLOW')
    return failure('agent_response_too_large', `the agent answered more than ${MAX_HEADER_BYTES} bytes of header`);
  const unreadable = code === 'invalid_json' || code === 'agent_not_understood' || error instanceof errors.HTTPParserError;
  if (unreadable) return failure('agent_invalid_response');
  const why = error instanceof OrchestratorError ? message : `no answer from the agent: ${reason(error)}`;
  const unreachable = failure('agent_unreachable', why);
  return neverSent(error) ? { ...unreachable, fault: { untouched: true } } : unreachable;
}

/** An answer that is not even looked into. */
function refused({ status, headers }: HttpAnswer): Pick<Failure, 'code' | 'message' | 'fault'> | null {
  const busy = turnedAway(status, headers['retry-after'], Date.now());
  if (busy) return busy;
  const invalid = (message: string) => ({ code: 'agent_invalid_response' as const, message });
  if (status >= 500) return { code: 'agent_failed', message: `the agent answered HTTP ${status}`, fault: { broke: true } };
  const moved = redirect({ status, headers });
  if (moved) return invalid(moved);
  if (status !== 200) return invalid(`the agent answered HTTP ${status}, expected 200`);
  const unreadable = encoded({ status, headers });
  return unreadable === null ? null : invalid(unreadable);
}

export function redirect({ status, headers: { location } }: HttpHead): string | null {
  if (status < 300 || status >= 400 || status === 304 || location === undefined) return null;
  return `the agent answered HTTP ${status} and redirects to ${String(location).slice(0, MAX_SHOWN)}; redirects are not followed, make that its endpoint`;
}

export function encoded({ headers: { 'content-encoding': encoding } }: HttpHead): string | null {
  if (encoding === undefined || encoding === 'identity') return null;
  return `the agent answered with content-encoding ${String(encoding).slice(0, MAX_SHOWN)}, which nobody asked for; answer without`;
}

/** Without parameters; '' if it says none. */
export const mediaType = ({ headers }: HttpHead): string =>
  String(headers['content-type'] ?? '')
    .split(';', 1)[0]!
    .trim()
    .toLowerCase();

export const reason = (error: unknown): string => {
  const { code, message } = error as { code?: string; message?: string };
  return code && !message?.includes(code) ? `${code} ${message}` : (message ?? String(error));
};
