/**
 * What goes over the wire in one call. The SDK asks and answers through `fetch` here, so whatever an agent says is bounded, has been through
 * our own scanner, and is kept as it came before the SDK, which is lenient and rewrites, makes sense of it.
 */
import type { Answer } from '../../../agents/agent-client.js';
import { type JsonValue, parseJson, parseJsonBytes } from '../../../kernel/json.js';
import { MAX_ANSWER_BYTES, rawOf } from '../answer.js';
import { turnedAway } from '../fault.js';
import type { Fetch } from '../fetch.client.js';
import { broken } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { withoutFiles } from './reading.js';

type Failure = Extract<Answer, { success: false }>;
const MAX_SHOWN = 2000;

export class Wire {
  /** What came last: the answer, or the events of a stream, without the envelope of JSON-RPC. */
  said: JsonValue | undefined;
  /** Why nothing could be read at all. */
  failure: Failure | null = null;
  private status = 0;
  private retryAfter: unknown;
  private readonly send: Fetch;

  constructor(outgoing: Outgoing) {
    let events: JsonValue[] = [];
    this.send = outgoing.fetch(MAX_ANSWER_BYTES, {
      body: (bytes, head) => {
        this.status = head.status;
        this.retryAfter = head.headers['retry-after'];
        this.said = withoutFiles(bare(this.parsed(bytes, String(head.headers['content-type'] ?? ''))));
      },
      streaming: ({ status }) => {
        this.status = status;
        this.said = events = [];
      },
      event: (data) => void events.push(withoutFiles(bare(this.eventOf(data)))),
      broken: (error) => {
        this.failure ??= broken(error);
      },
    });
  }

  readonly fetch: Fetch = async (input, init) => {
    this.said = undefined;
    this.failure = null;
    try {
      return await this.send(input, init);
    } catch (error) {
      this.failure ??= broken(error);
      throw error;
    }
  };

  /** Of a call the SDK gave up: what the agent said where it said what is wrong, otherwise why its answer is none. */
  failed(error: unknown): Failure {
    if (this.failure) return this.failure;
    const raw = this.said !== undefined && { raw: this.said };
    const told = errorIn(this.said, this.status);
    const broke = this.status >= 500 && { fault: { broke: true } };
    const busy = turnedAway(this.status, this.retryAfter, Date.now());
    if (busy) return { success: false, ...busy, ...raw };
    if (told !== null)
      return { success: false, code: 'agent_failed', message: `the agent answered with an error: ${told}`, ...raw, ...broke };
    if (this.status >= 500)
      return { success: false, code: 'agent_failed', message: `the agent answered HTTP ${this.status}`, ...raw, ...broke };
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
      const busy = turnedAway(this.status, this.retryAfter, Date.now());
      if (busy) throw this.fail({ success: false, ...busy, raw });
      if (this.status >= 500) {
        const message = `the agent answered HTTP ${this.status}`;
        throw this.fail({ success: false, code: 'agent_failed', message, raw, fault: { broke: true } });
      }
      const said = `HTTP ${this.status}, ${type.slice(0, 100) || 'no content type'}`;
      throw this.fail({
        success: false,
        code: 'agent_invalid_response',
        message: `the agent answered ${said}: ${(error as Error).message}`,
        raw,
      });
    }
  }

  private eventOf(data: string): JsonValue {
    try {
      return parseJson(data) as JsonValue;
    } catch (error) {
      const message = `the agent's stream holds what is no JSON: ${(error as Error).message}`;
      throw this.fail({ success: false, code: 'agent_invalid_response', message, raw: rawOf(Buffer.from(data)) });
    }
  }

  private fail(failure: Failure): Error {
    this.failure = failure;
    return new Error(failure.message);
  }
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
