/** A language model of the Messages API that compresses sessions. */
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { type Completion, LanguageModel } from '../../memory/language-model.js';
import { type Prompt, REPAIR } from '../../memory/prompt.js';
import { AnthropicAnswer, TokenCount } from './anthropic.schema.js';
import { MessagesApi, type MessagesSettings, parsed } from './messages.client.js';

export interface AnthropicSettings extends MessagesSettings {
  readonly model: string;
  readonly maxInput: number;
  readonly maxOutput: number;
}

export class AnthropicModel extends LanguageModel {
  readonly name: string;
  readonly maxInput: number;
  private readonly api: MessagesApi;

  constructor(private readonly settings: AnthropicSettings) {
    super();
    this.name = settings.model;
    this.maxInput = settings.maxInput;
    this.api = new MessagesApi(settings);
  }

  async count(prompt: Prompt, signal: AbortSignal): Promise<number> {
    const answer = await this.api.ask(signal, (messages, options) =>
      messages.countTokens({ model: this.settings.model, ...contentOf(prompt) }, options),
    );
    return parsed(TokenCount, answer).input_tokens;
  }

  async complete(prompt: Prompt, signal: AbortSignal): Promise<Completion> {
    const { model, maxOutput } = this.settings;
    const answer = await this.api.ask(signal, (messages, options) =>
      messages.create({ model, max_tokens: maxOutput, ...contentOf(prompt) }, options),
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
