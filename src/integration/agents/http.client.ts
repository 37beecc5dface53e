/**
 * Calls an agent over plain HTTP: POST {endpoint}/execute {task_id, capability, parameters, context} → {success, data?, error?}.
 * undici rather than axios: a kept-alive pool costs a fraction per call, and nothing else of axios is wanted on this path.
 */
import { Pool } from 'undici';
import type { Task } from '../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Stop } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { type JsonValue, parseJsonBytes } from '../../kernel/json.js';
import { spanOf, traceparent } from '../../kernel/trace.js';
import { readAnswer } from './answer.js';

export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const CONNECT_MS = 5000;

interface HttpAnswer {
  readonly status: number;
  readonly bytes: Buffer;
}

class TooLarge extends Error {}

export class HttpClient extends AgentClient {
  private readonly pool: Pool;
  private readonly path: string;

  constructor(endpoint: string) {
    super();
    const url = new URL(endpoint);
    this.path = `${url.pathname.replace(/\/$/, '')}/execute`;
    // No retries, no redirects, no timeout of its own: the contract's deadline aborts the call.
    this.pool = new Pool(url.origin, {
      connections: 128,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: CONNECT_MS },
    });
  }

  async call(task: Task, { stop, trace }: CallOptions): Promise<Answer> {
    let answer: HttpAnswer;
    try {
      answer = await this.post(JSON.stringify(task), stop, {
        'content-type': 'application/json',
        accept: 'application/json',
        'idempotency-key': task.task_id,
        ...(trace && { traceparent: traceparent(trace, spanOf(task.task_id)), ...(trace.state && { tracestate: trace.state }) }),
      });
    } catch (error) {
      if (error instanceof TooLarge) return { success: false, code: 'agent_response_too_large', message: error.message };
      return { success: false, code: 'agent_unreachable', message: `no answer from the agent: ${reason(error)}` };
    }
    const { status, bytes } = answer;
    if (status !== 200) {
      const code = status >= 500 ? 'agent_failed' : 'agent_invalid_response';
      return { success: false, code, message: `the agent answered HTTP ${status}`, raw: rawOf(bytes) };
    }
    try {
      return readAnswer(parseJsonBytes(bytes) as JsonValue);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return { success: false, code: 'agent_invalid_response', message: error.message, raw: rawOf(bytes) };
    }
  }

  /** `dispatch` rather than `request`: the answer is wanted whole, and a stream around it costs as much as the call itself. */
  private post(body: string, stop: Stop, headers: Record<string, string>): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let status = 0;
      let size = 0;
      this.pool.dispatch(
        { method: 'POST', path: this.path, headers, body },
        {
          onRequestStart(controller) {
            stop.onStop((why) => controller.abort(why)); // a call that waited for a connection may be stopped before it starts
          },
          onResponseStart(_controller, code) {
            status = code;
          },
          onResponseData(controller, chunk) {
            size += chunk.length;
            if (size > MAX_ANSWER_BYTES) controller.abort(new TooLarge(`the agent answered more than ${MAX_ANSWER_BYTES} bytes`));
            else chunks.push(chunk);
          },
          onResponseEnd() {
            resolve({ status, bytes: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks) });
          },
          onResponseError(_controller, error) {
            reject(error);
          },
        },
      );
    });
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }
}

/** The answer byte for byte: as text where it is UTF-8, otherwise as base64. */
export function rawOf(bytes: Buffer): JsonValue {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes)
    ? { encoding: 'utf-8', data: text }
    : { encoding: 'base64', data: bytes.toString('base64') };
}

const reason = (error: unknown): string => {
  const { code, message } = error as { code?: string; message?: string };
  return code && !message?.includes(code) ? `${code} ${message}` : (message ?? String(error));
};
