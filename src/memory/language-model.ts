import type { Prompt } from './prompt.js';

export interface Usage {
  readonly input: number;
  readonly output: number;
  /** Input that was written to the model's cache, and that was read from it; neither is part of `input`. */
  readonly cacheWrite: number;
  readonly cacheRead: number;
}

export interface Completion {
  readonly text: string;
  /** cut: the answer would have been longer than allowed. refused: the model declines. */
  readonly end: 'complete' | 'cut' | 'refused';
  readonly usage: Usage;
}

/**
 * A language model. Both calls are bounded in time, retry by themselves what may succeed a moment later, and stop soon after `signal`
 * aborts, throwing its reason. They throw `llm_unavailable`, saying why, when no answer can be had; whatever the model says is an answer.
 */
export abstract class LanguageModel {
  abstract readonly name: string;
  /** Most tokens a prompt may have. */
  abstract readonly maxInput: number;

  /** Tokens of the prompt, as the model counts them. */
  abstract count(prompt: Prompt, signal: AbortSignal): Promise<number>;

  abstract complete(prompt: Prompt, signal: AbortSignal): Promise<Completion>;
}

export const NO_USAGE: Usage = { input: 0, output: 0, cacheWrite: 0, cacheRead: 0 };

export const addUsage = (a: Usage, b: Usage): Usage => ({
  input: a.input + b.input,
  output: a.output + b.output,
  cacheWrite: a.cacheWrite + b.cacheWrite,
  cacheRead: a.cacheRead + b.cacheRead,
});

/** Per million tokens, in whatever currency the operator pays; undefined where he did not say. */
export interface Prices {
  readonly input: number | undefined;
  readonly output: number | undefined;
  readonly cacheWrite: number | undefined;
  readonly cacheRead: number | undefined;
}

/** null: a price that is needed is not known. */
export function costOf(usage: Usage, prices: Prices): number | null {
  let sum = 0;
  for (const kind of ['input', 'output', 'cacheWrite', 'cacheRead'] as const) {
    const price = prices[kind];
    if (usage[kind] === 0) continue;
    if (price === undefined) return null;
    sum += (usage[kind] * price) / 1_000_000;
  }
  return prices.input === undefined || prices.output === undefined ? null : Math.round(sum * 1e8) / 1e8;
}
