/** Asks a language model for an answer of a certain form, and a second time if the first answer has not that form. */
import type { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import { addUsage, type Completion, type LanguageModel, NO_USAGE, type Usage } from './language-model.js';
import type { Prompt } from './prompt.js';
import { cut } from './source.js';

export class Asking {
  /** Of every call, also of those whose answer could not be used. */
  usage: Usage = NO_USAGE;

  constructor(
    private readonly model: LanguageModel,
    private readonly signal: AbortSignal,
  ) {}

  /** Throws `llm_unavailable` when no usable answer can be had of the model. `form` is that of `prompt.schema`. */
  async ask<T>(prompt: Prompt, form: z.ZodType<T>): Promise<T> {
    const first = await this.complete(prompt);
    const read = readAs(form, first);
    if ('value' in read) return read.value;
    const second = readAs(form, await this.complete({ ...prompt, repair: { answer: first.text, problem: read.problem } }));
    if ('value' in second) return second.value;
    throw unusable(`its second answer could not be used either: ${second.problem}`);
  }

  private async complete(prompt: Prompt): Promise<Completion> {
    const completion = await this.model.complete(prompt, this.signal);
    this.usage = addUsage(this.usage, completion.usage);
    if (completion.end === 'refused') throw unusable('it refused to answer');
    return completion;
  }
}

function readAs<T>(form: z.ZodType<T>, { text, end }: Completion): { value: T } | { problem: string } {
  if (end === 'cut') return { problem: 'it was cut off because it was too long; say less' };
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    return { problem: `it is not JSON: ${cut((error as Error).message, 300)}` };
  }
  const parsed = form.safeParse(value);
  if (parsed.success) return { value: parsed.data };
  const issues = parsed.error.issues.slice(0, 5).map((issue) => `${issue.path.join('.') || 'the answer'}: ${issue.message}`);
  return { problem: cut(issues.join('; '), 1000) };
}

export const unusable = (why: string) => new OrchestratorError('llm_unavailable', `the language model made no usable answer: ${why}`);
