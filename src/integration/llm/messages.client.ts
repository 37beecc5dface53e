/**
 * The Messages API through its own SDK, which does the retries: 408, 409, 429, 5xx and broken connections, after the time the API's headers
 * say. What it leaves to us is bounded here: how long all attempts may take together, however long a header asks to wait, and how much is read.
 */
import Anthropic, { APIConnectionTimeoutError, APIError } from '@anthropic-ai/sdk';
import { OrchestratorError } from '../../kernel/errors.js';

export interface MessagesSettings {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly timeoutMs: number;
  readonly maxRetries: number;
}

const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export class MessagesApi {
  private readonly client: Anthropic;

  constructor(private readonly settings: MessagesSettings) {
    this.client = new Anthropic({
      apiKey: settings.apiKey,
      baseURL: settings.baseUrl,
      webhookKey: null,
      timeout: settings.timeoutMs,
      maxRetries: settings.maxRetries,
      openTelemetry: false,
      logLevel: 'off',
      fetch: boundedFetch,
    });
  }

  /** Throws the reason of `signal` if that aborts, `llm_unavailable` otherwise. */
  async ask<T>(signal: AbortSignal, call: (messages: Anthropic['messages'], options: { signal: AbortSignal }) => Promise<T>): Promise<T> {
    const { timeoutMs, maxRetries } = this.settings;
    const limit = timeoutMs * (maxRetries + 1);
    const timeout = AbortSignal.timeout(limit);
    try {
      return await call(this.client.messages, { signal: AbortSignal.any([signal, timeout]) });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (timeout.aborted) throw unavailable(`it did not answer within ${limit / 1000} s, retries included`, error);
      throw unavailable(reason(error, timeoutMs), error);
    }
  }
}

function reason(error: unknown, timeoutMs: number): string {
  if (error instanceof APIConnectionTimeoutError) return `it did not answer within ${timeoutMs / 1000} s`;
  if (error instanceof APIError && error.status !== undefined)
    return `it answered HTTP ${error.status}${error.type ? ` ${error.type}` : ''}: ${String(error.apiMessage ?? error.message).slice(0, 300)}`;
  const { message, cause } = error as { message?: string; cause?: { message?: string; cause?: { message?: string } } };
  return [message, cause?.message, cause?.cause?.message].filter(Boolean).join(' ').slice(0, 300);
}

export const unavailable = (why: string, cause?: unknown) =>
  new OrchestratorError('llm_unavailable', `the language model cannot be had: ${why}`, { cause });

export function parsed<T>(
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false; error: Error } },
  value: unknown,
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw unavailable('its answer has not the shape of the Messages API; check ANTHROPIC_BASE_URL', result.error);
}

/** No redirects, and no more bytes than any answer has. */
async function boundedFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, { ...init, redirect: 'error' });
  if (!response.body) return response;
  let size = 0;
  const bounded = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) controller.error(new Error(`it answered more than ${MAX_ANSWER_BYTES} bytes`));
        else controller.enqueue(chunk);
      },
    }),
  );
  return new Response(bounded, { status: response.status, statusText: response.statusText, headers: response.headers });
}
