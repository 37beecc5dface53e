/** Asks a language model who should get a message. */
import type { JsonValue } from '../kernel/json.js';
import type { Classifier } from './classifier.js';
import type { Reply, Shortlist } from './model-answer.js';
import { type RecentTurns, ROUTING_PROMPT_HASH, routingPrompt } from './prompt.js';

export interface Told {
  readonly message: string;
  readonly given: Readonly<Record<string, JsonValue>>;
  readonly recent: RecentTurns;
}

/** What it says; why it says nothing if it cannot be had within this time. Never throws. */
export async function askClassifier(
  model: Classifier,
  { message, given, recent }: Told,
  { shown, of }: Shortlist,
  milliseconds: number,
): Promise<Reply> {
  const began = performance.now();
  const about = { prompt: ROUTING_PROMPT_HASH, shown: shown.map(({ agent_id, capability }) => ({ agent_id, capability })), of };
  const ms = () => Math.round(performance.now() - began);
  try {
    const prompt = routingPrompt({ message, given: { ...given }, shown, recent });
    const { answer, usage, model: name } = await model.classify(prompt, AbortSignal.timeout(milliseconds));
    return { model: name, ...about, ms: ms(), ...usage, answer };
  } catch (error) {
    const { name, message: why } = error as Error;
    return {
      model: model.name,
      ...about,
      ms: ms(),
      error: name === 'TimeoutError' ? `it did not answer within ${milliseconds / 1000} s` : why,
    };
  }
}
