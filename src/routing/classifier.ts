import type { JsonValue } from '../kernel/json.js';
import type { RoutingPrompt } from './prompt.js';

export interface ModelUsage {
  readonly input_tokens: number;
  readonly output_tokens: number;
}

/** What the model said, as it said it: nothing of it has been checked against anything. */
export interface Classified {
  readonly answer: JsonValue;
  readonly model: string;
  readonly usage: ModelUsage;
}

/**
 * A language model that is asked who should get a message. Settles soon after `signal` aborts. Throws `llm_unavailable`, saying why, when no
 * answer can be had; whatever the model says is an answer.
 */
export abstract class Classifier {
  abstract readonly name: string;
  abstract classify(prompt: RoutingPrompt, signal: AbortSignal): Promise<Classified>;
}
