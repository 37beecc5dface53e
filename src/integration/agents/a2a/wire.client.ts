/**
 * What goes over the wire in one call. The SDK asks and answers through `fetch` here, so whatever an agent says is bounded, has been through
 * our own scanner, and is kept as it came before the SDK, which is lenient and rewrites, makes sense of it.
 */
import type { Answer } from '../../../agents/agent-client.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { type JsonValue, parseJson, parseJsonBytes } from '../../../kernel/json.js';
import { rawOf } from '../answer.js';
import { reason } from '../http.client.js';
import { EventStream } from '../server-sent-events.js';
import { withoutFiles } from './reading.js';

type Failure = Extract<Answer, { success: false }>;
const MAX_SHOWN = 2000;

export class Wire {
  /** What came last: the answer, or the events of a stream, without the envelope of JSON-RPC. */
  said: JsonValue | undefined;
  /** Why nothing could be read at all. */
  failure: Failure | null = null;
  private status = 0;

  constructor(private readonly send: typeof globalThis.fetch) {}

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    this.said = undefined;
    this.failure = null;
    const response = await this.orFailure(() => this.send(input, init));
    this.status = response.status;
    const type = response.headers.get('content-type') ?? '';
    const { status, headers } = response;
    if (response.ok && response.body && type.startsWith('text/event-stream'))
      return new Response(ReadableStream.from(this.events(response.body)), { status, headers });
    const bytes = await this.orFailure(async () => Buffer.from(await response.arrayBuffer()));
    this.said = withoutFiles(bare(this.parsed(bytes, type)));
    return new Response(bytes, { status, headers });
  };

  /** Of a call the SDK gave up: what the agent said where it said what is wrong, otherwise why its answer is none. */
  failed(error: unknown): Failure {
    if (this.failure) return this.failure;
    const raw = this.said !== undefined && { raw: this.said };
    const told = errorIn(this.said, this.status);
    if (told !== null) return { success: false, code: 'agent_failed', message: `the agent answered with an error: ${told}`, ...raw };
    if (this.status >= 500) return { success: false, code: 'agent_failed', message: `the agent answered HTTP ${this.status}`, ...raw };
    const what = (error as Error).message.slice(0, MAX_SHOWN);
    return {
      success: false,
      code: 'agent_invalid_response',
      message: `the agent's answer (HTTP ${this.status}) is not one of A2A: ${what}`,
      ...raw,
    };
  }

  private parsed(bytes: Buffer, type: string): JsonValue {
    try {
      return parseJsonBytes(bytes) as JsonValue;
    } catch (error) {
      const raw = rawOf(bytes);
      if (this.status >= 500)
        throw this.fail({ success: false, code: 'agent_failed', message: `the agent answered HTTP ${this.status}`, raw });
      const said = `HTTP ${this.status}, ${type.slice(0, 100) || 'no content type'}`;
      throw this.fail({
        success: false,
        code: 'agent_invalid_response',
        message: `the agent answered ${said}: ${(error as Error).message}`,
        raw,
      });
    }
  }

  /** Hands the bytes on as they come, each event scanned before its last byte goes. */
  private async *events(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const events: JsonValue[] = [];
    this.said = events;
    const stream = new EventStream();
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const reader = body.getReader();
    try {
      for (;;) {
        const { done, value } = await this.orFailure(() => reader.read());
        if (done) return;
        try {
          for (const data of stream.add(decoder.decode(value, { stream: true })))
            events.push(withoutFiles(bare(parseJson(data) as JsonValue)));
        } catch (error) {
          const message = `the agent's stream holds what is no JSON: ${(error as Error).message}`;
          throw this.fail({ success: false, code: 'agent_invalid_response', message, raw: rawOf(Buffer.from(value)) });
        }
        yield value;
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  private async orFailure<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw this.fail(broken(error));
    }
  }

  private fail(failure: Failure): Error {
    this.failure = failure;
    return new Error(failure.message);
  }
}

/** No answer, or half of one. fetch wraps what went wrong in an error of its own. */
function broken(error: unknown): Failure {
  const own = ownCause(error);
  if (own?.code === 'payload_too_large') return { success: false, code: 'agent_response_too_large', message: own.message };
  if (own?.code === 'address_refused') return { success: false, code: 'agent_unreachable', message: own.message };
  const { cause } = error as { cause?: unknown };
  return { success: false, code: 'agent_unreachable', message: `no answer from the agent: ${reason(own ?? cause ?? error)}` };
}

export function ownCause(error: unknown): OrchestratorError | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) if (at instanceof OrchestratorError) return at;
  return null;
}

/** Without the envelope of JSON-RPC. */
function bare(value: JsonValue): JsonValue {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value['jsonrpc'] === undefined) return value;
  return value['result'] ?? (value['error'] === undefined ? value : { error: value['error'] });
}

/** `{error: {code, message}}` of JSON-RPC and HTTP+JSON, `{code, message}` of HTTP+JSON in 0.3; of a stream, its last event. */
function errorIn(said: JsonValue | undefined, status: number): string | null {
  const last = Array.isArray(said) ? said.at(-1) : said;
  if (typeof last !== 'object' || last === null || Array.isArray(last)) return null;
  const error = last['error'] ?? (status >= 400 || Array.isArray(said) ? last : null);
  if (typeof error !== 'object' || error === null || Array.isArray(error)) return null;
  const { code, message } = error;
  return typeof message === 'string' ? `${message.slice(0, MAX_SHOWN)} (${String(code)})` : null;
}
