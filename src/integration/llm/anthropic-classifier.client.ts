/** A language model of the Messages API that chooses agents: it must use one tool, whose input is its answer. */
import { toJsonValue } from '../../kernel/json.js';
import { type Classified, Classifier } from '../../routing/classifier.js';
import { ANSWER_SCHEMA, type RoutingPrompt, TOOL } from '../../routing/prompt.js';
import { AnthropicAnswer } from './anthropic.schema.js';
import { MessagesApi, type MessagesSettings, parsed, unavailable } from './messages.client.js';

const MAX_OUTPUT = 2048;
/** What of an answer is recorded is bounded with the REQUEST. */
const MAX_ANSWER_BYTES = 32 * 1024;

export class AnthropicClassifier extends Classifier {
  readonly name: string;
  private readonly api: MessagesApi;
  /** Until the API says that this model takes no temperature. */
  private steady: { temperature?: number } = { temperature: 0 };

  constructor(settings: MessagesSettings & { readonly model: string }) {
    super();
    this.name = settings.model;
    this.api = new MessagesApi(settings);
  }

  async classify(prompt: RoutingPrompt, signal: AbortSignal): Promise<Classified> {
    let answer: unknown;
    try {
      answer = await this.ask(prompt, signal);
    } catch (error) {
      if (this.steady.temperature === undefined || !/HTTP 400 .*temperature/s.test((error as Error).message)) throw error;
      this.steady = {};
      answer = await this.ask(prompt, signal);
    }
    const { content, stop_reason, usage, model } = parsed(AnthropicAnswer, answer);
    const said = content.find(({ type, name }) => type === 'tool_use' && name === TOOL.name);
    if (stop_reason === 'refusal') throw unavailable('it refused to answer');
    if (said?.input === undefined) throw unavailable(`it answered without the tool it must use (${stop_reason ?? 'no reason given'})`);
    return {
      answer: toJsonValue(said.input, MAX_ANSWER_BYTES),
      model: model ?? this.name,
      usage: {
        input_tokens: usage.input_tokens + (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0),
        output_tokens: usage.output_tokens,
      },
    };
  }

  private ask({ system, data }: RoutingPrompt, signal: AbortSignal): Promise<unknown> {
    const body = {
      model: this.name,
      max_tokens: MAX_OUTPUT,
      ...this.steady,
      system: [{ type: 'text' as const, text: system, cache_control: { type: 'ephemeral' as const } }],
      messages: [{ role: 'user' as const, content: data }],
      tools: [{ ...TOOL, input_schema: ANSWER_SCHEMA }],
      tool_choice: { type: 'tool' as const, name: TOOL.name, disable_parallel_tool_use: true },
    };
    return this.api.ask(signal, (messages, options) => messages.create(body, options));
  }
}
