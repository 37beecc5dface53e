/** Speaks to a running orchestrator on behalf of the command line. What goes wrong is told so that whoever typed the command can act on it. */
import { STATUS_CODES } from 'node:http';
import { type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import { type ErrorCode, OrchestratorError } from '../kernel/errors.js';
import { parseJsonBytes } from '../kernel/json.js';
import { Answer, ContractsPage, Health, Problem, type TaskEvent } from './orchestrator.schema.js';
import { MAX_ANSWER_BYTES, MAX_DEPTH } from './server-events.js';
import { taskEvents } from './task-events.js';

const READ_MS = 30_000;
/** The server itself waits up to a minute for Trace. */
const READ_BACK_MS = 90_000;
/** Who works for long says something in between. */
const SILENCE_MS = 600_000;
/** The longest a task may take, and what the server takes to record the answer. */
const LONGEST_TASK_SECONDS = 600;
const GRACE_SECONDS = 15;

/** Nothing was sent. */
const UNREACHED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'];

/** What stands for `from` where nobody named the URL. */
export const DEFAULT = 'the default';

export interface Target {
  readonly url: string;
  /** Who named the URL. */
  readonly from: string;
  readonly token?: string | undefined;
}

export interface TaskBody {
  readonly session_id: string;
  readonly timeout_seconds?: number | undefined;
  readonly [field: string]: unknown;
}

export interface ContractsQuery {
  readonly session_id: string;
  readonly limit: number;
  readonly type?: 'REQUEST' | undefined;
  readonly cursor?: string | undefined;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly key?: string | undefined;
  /** How long is waited for the answer, half a minute unless told. */
  readonly milliseconds?: number;
  readonly signal?: AbortSignal | undefined;
  readonly accept?: string;
  /** What it means when the connection is lost before the answer. */
  readonly lost?: string;
}

export class OrchestratorClient {
  constructor(private readonly target: Target) {}

  /** Whether anybody said, or any process shows, that the orchestrator is there. */
  get named(): boolean {
    return this.target.from !== DEFAULT;
  }

  orchestrate(task: TaskBody, options: { key?: string | undefined; signal?: AbortSignal } = {}): Promise<Answer> {
    return this.ask('v1/orchestrate', Answer, { ...options, ...taskCall(task, options.key) });
  }

  /** The same task, told while it runs; the last event is its `result`. Whoever stops reading before cancels it. */
  async *follow(task: TaskBody, options: { key?: string | undefined } = {}): AsyncGenerator<Exclude<TaskEvent, { event: 'error' }>> {
    const own = taskCall(task, options.key);
    const call: Call = { ...options, ...own, accept: 'text/event-stream', signal: AbortSignal.timeout(own.milliseconds) };
    try {
      const response = await this.send('v1/orchestrate', call);
      const streams = /^text\/event-stream\b/.test(String(response.headers['content-type']));
      if (response.statusCode !== 200 || !streams) throw this.refusal(response, await bounded(response.body));
      for await (const told of taskEvents(response.body)) {
        if (told.event === 'error') throw this.problem(told.data, { status: told.data.status ?? 503 }, own.lost);
        yield told;
        if (told.event === 'result') return;
      }
    } catch (error) {
      throw this.unanswered(error, call);
    }
    throw this.unanswered(new Error('the events ended without a result'), call);
  }

  contracts(query: ContractsQuery, signal?: AbortSignal): Promise<ContractsPage> {
    const named = new URLSearchParams(JSON.parse(JSON.stringify(query)) as Record<string, string>); // without what is undefined
    return this.ask(`v1/contracts?${named}`, ContractsPage, { method: 'GET', signal });
  }

  health(signal?: AbortSignal): Promise<z.output<typeof Health>> {
    return this.ask('v1/health', Health, { method: 'GET', signal });
  }

  /** What an operator asks about the forwarding to Trace; without a body how it is. */
  trace<T extends z.ZodType>(what: 'retry-parked' | 'replay' | 'audit' | null, schema: T, body: object = {}): Promise<z.output<T>> {
    if (what === null) return this.ask('v1/trace', schema, { method: 'GET' });
    return this.ask(`v1/trace/${what}`, schema, { method: 'POST', body, milliseconds: READ_BACK_MS });
  }

  /** The events of POST /v1/compress, to be read with `readEvents`. */
  compress(body: { session_id: string; intent?: string | undefined }, require: 'llm' | undefined): AsyncGenerator<Uint8Array> {
    return this.listen(`v1/compress${require ? `?require=${require}` : ''}`, { body, accept: 'text/event-stream' });
  }

  /** What the server says as it works; it is given up when it has been silent for too long. */
  async *listen(path: string, asked: Pick<Call, 'body' | 'accept'>): AsyncGenerator<Uint8Array> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), READ_MS);
    const call: Call = { ...asked, method: 'POST', signal: silence.signal };
    try {
      const response = await this.send(path, call);
      if (response.statusCode !== 200) throw this.refusal(response, await bounded(response.body));
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        yield chunk;
      }
    } catch (error) {
      throw this.unanswered(error, call);
    } finally {
      clearTimeout(timer);
    }
  }

  /** One question, one answer that fits the schema. */
  async ask<T extends z.ZodType>(path: string, schema: T, call: Call): Promise<z.output<T>> {
    const ours = AbortSignal.timeout(call.milliseconds ?? READ_MS);
    const signal = call.signal ? AbortSignal.any([ours, call.signal]) : ours;
    let response: Dispatcher.ResponseData;
    let bytes: Buffer;
    try {
      response = await this.send(path, { ...call, signal });
      bytes = await bounded(response.body);
    } catch (error) {
      throw this.unanswered(error, call);
    }
    if (response.statusCode !== 200) throw this.refusal(response, bytes);
    const answer = jsonOf(bytes);
    const parsed = schema.safeParse(answer);
    if (parsed.success) return answer as z.output<T>; // what came, in its order
    const [issue] = parsed.error.issues;
    throw this.strange(`answered what no orchestrator answers (${[...issue!.path, issue!.message].join(' ')})`);
  }

  /** `request` follows no redirects. */
  private send(path: string, { method, body, key, signal, accept = 'application/json' }: Call): Promise<Dispatcher.ResponseData> {
    const { url, token } = this.target;
    return request(new URL(path, url.endsWith('/') ? url : `${url}/`), {
      method,
      headersTimeout: 0,
      bodyTimeout: 0,
      headers: {
        accept,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
  }

  private unanswered(error: unknown, { lost = '' }: Call): OrchestratorError {
    if (error instanceof OrchestratorError) return error;
    const { code, name, message } = error as { code?: string; name?: string; message?: string };
    const { url, from } = this.target;
    if (UNREACHED.includes(code ?? '')) {
      const remedy = 'start it with `agent-orchestrator serve`, or say with --url or ORCHESTRATOR_URL where it is';
      return new OrchestratorError('ledger_unavailable', `nothing answers at ${url} (${from}; ${code}): ${remedy}`, { cause: error });
    }
    const why = name === 'TimeoutError' || name === 'AbortError' ? 'it took too long' : message || code || String(error);
    return new OrchestratorError('ledger_unavailable', `${url} did not answer to the end (${why})${lost || '; try again'}`, {
      cause: error,
    });
  }

  /** A newer server may have codes that we do not know; they are only shown. */
  private refusal({ statusCode, headers }: Dispatcher.ResponseData, bytes: Buffer): OrchestratorError {
    const problem = Problem.safeParse(jsonOf(bytes));
    if (!problem.success) {
      const location = headers['location'] === undefined ? '' : `, location ${String(headers['location'])}`;
      return this.strange(`answered HTTP ${statusCode} ${STATUS_CODES[statusCode] ?? ''}${location}`, statusCode >= 500);
    }
    return this.problem(problem.data, { status: statusCode, seconds: Number(headers['retry-after']) });
  }

  private problem(
    { title, code, detail, pointer, errors }: z.output<typeof Problem>,
    { status, seconds = Number.NaN }: { status: number; seconds?: number },
    lost = '',
  ): OrchestratorError {
    return new OrchestratorError(code as ErrorCode, `${title}: ${detail}${lost}${remedy(status, this.target, seconds)}`, {
      ...(pointer !== undefined && { pointer }),
      ...(errors && { fields: errors }),
      ...(seconds >= 0 && { retryAfter: seconds }),
    });
  }

  private strange(what: string, passing = false): OrchestratorError {
    const { url, from } = this.target;
    const remedy = passing ? 'try again' : 'is an orchestrator there? Say with --url or ORCHESTRATOR_URL where it is';
    return new OrchestratorError(passing ? 'ledger_unavailable' : 'invalid_request', `${url} (${from}) ${what}: ${remedy}`);
  }
}

function taskCall(task: TaskBody, key: string | undefined) {
  const again = key === undefined ? '' : ', and the same --key asks for the recorded answer';
  return {
    method: 'POST' as const,
    body: task,
    milliseconds: Math.ceil(((task.timeout_seconds ?? LONGEST_TASK_SECONDS) + GRACE_SECONDS) * 1000),
    lost: `; whether the task was recorded is unknown: agent-orchestrator contracts ${JSON.stringify(task.session_id)} shows it${again}`,
  };
}

function remedy(status: number, { token }: Target, retryAfter: number): string {
  if (status === 401) return token === undefined ? '; set ORCHESTRATOR_TOKEN' : '; set ORCHESTRATOR_TOKEN to another token';
  if (status === 403) return '; set ORCHESTRATOR_TOKEN to a token that may';
  return retryAfter > 0 ? `; try again in ${retryAfter} s` : '';
}

async function bounded(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ANSWER_BYTES) throw new OrchestratorError('payload_too_large', `the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return parseJsonBytes(bytes, { maxDepth: MAX_DEPTH });
  } catch {
    return undefined;
  }
}
