/**
 * The Messages API through its own SDK, which does the retries: 408, 409, 429, 5xx and broken connections, after the time the API's headers
 * say. What it leaves to us is bounded here: how long all attempts may take together, however long a header asks to wait, and how much is read.
 */
import Anthropic, { APIConnectionTimeoutError, APIError } from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { OrchestratorError } from '../../kernel/errors.js';
import { type Completion, LanguageModel } from '../../memory/language-model.js';
import { type Prompt, REPAIR } from '../../memory/prompt.js';
import { AnthropicAnswer, TokenCount } from './anthropic.schema.js';

export interface AnthropicSettings {
  readonly apiKey: string;
  readonly baseUrl: string;
  readonly model: string;
  readonly maxInput: number;
  readonly maxOutput: number;
  readonly timeoutMs: number;
  readonly maxRetries: number;
}

const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export class AnthropicModel extends LanguageModel {
  readonly name: string;
  readonly maxInput: number;
  private readonly client: Anthropic;

  constructor(private readonly settings: AnthropicSettings) {
    super();
    this.name = settings.model;
    this.maxInput = settings.maxInput;
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

  async count(prompt: Prompt, signal: AbortSignal): Promise<number> {
    const answer = await this.within(signal, (options) =>
      this.client.messages.countTokens({ model: this.settings.model, ...contentOf(prompt) }, options),
    );
    return parsed(TokenCount, answer).input_tokens;
  }

  async complete(prompt: Prompt, signal: AbortSignal): Promise<Completion> {
    const { model, maxOutput } = this.settings;
    const answer = await this.within(signal, (options) =>
      this.client.messages.create({ model, max_tokens: maxOutput, ...contentOf(prompt) }, options),
    );
    const { content, stop_reason, usage } = parsed(AnthropicAnswer, answer);
    return {
      text: content.map((block) => block.text ?? '').join(''),
      end: stop_reason === 'refusal' ? 'refused' : CUT.has(stop_reason ?? '') ? 'cut' : 'complete',
      usage: {
        input: usage.input_tokens,
        output: usage.output_tokens,
        cacheWrite: usage.cache_creation_input_tokens ?? 0,
        cacheRead: usage.cache_read_input_tokens ?? 0,
      },
    };
  }

  private async within<T>(signal: AbortSignal, call: (options: { signal: AbortSignal }) => Promise<T>): Promise<T> {
    const { timeoutMs, maxRetries } = this.settings;
    const limit = timeoutMs * (maxRetries + 1);
    const timeout = AbortSignal.timeout(limit);
    try {
      return await call({ signal: AbortSignal.any([signal, timeout]) });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (timeout.aborted) throw unavailable(`it did not answer within ${limit / 1000} s, retries included`, error);
      throw unavailable(reason(error, timeoutMs), error);
    }
  }
}

const CUT = new Set(['max_tokens', 'model_context_window_exceeded']);

/** The rules are the same in every call: they come first and are cached. The data is not: writing it to the cache costs more than rare repairs save. */
function contentOf({ system, source, task, schema, repair }: Prompt) {
  const { type, schema: form } = zodOutputFormat(schema);
  const asked = [
    { type: 'text' as const, text: source },
    { type: 'text' as const, text: task },
  ];
  const again = repair && [
    { role: 'assistant' as const, content: repair.answer.trim() === '' ? '(no answer)' : repair.answer.trimEnd() },
    { role: 'user' as const, content: REPAIR + repair.problem },
  ];
  return {
    system: [{ type: 'text' as const, text: system, cache_control: { type: 'ephemeral' as const } }],
    messages: [{ role: 'user' as const, content: asked }, ...(again ?? [])],
    output_config: { format: { type, schema: form } },
  };
}

function reason(error: unknown, timeoutMs: number): string {
  if (error instanceof APIConnectionTimeoutError) return `it did not answer within ${timeoutMs / 1000} s`;
  if (error instanceof APIError && error.status !== undefined)
    return `it answered HTTP ${error.status}${error.type ? ` ${error.type}` : ''}: ${String(error.apiMessage ?? error.message).slice(0, 300)}`;
  const { message, cause } = error as { message?: string; cause?: { message?: string; cause?: { message?: string } } };
  return [message, cause?.message, cause?.cause?.message].filter(Boolean).join(' ').slice(0, 300);
}

const unavailable = (why: string, cause: unknown) =>
  new OrchestratorError('llm_unavailable', `the language model cannot be had: ${why}`, { cause });

function parsed<T>(
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
