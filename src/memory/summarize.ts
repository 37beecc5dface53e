/**
 * Has a language model make the statements: the whole source at once where it fits the model's window, otherwise part by part and then
 * merged. Whatever it answers is only ever a proposal: parsed, checked, and cut down to what its citations carry.
 */
import { Asking, unusable } from './asking.js';
import { allStatements, join, type MemoryContent, NOTHING, type Statements } from './block.js';
import { check, type Evidence } from './citations.js';
import type { LanguageModel, Usage } from './language-model.js';
import { Answer, type Prompt, promptFor } from './prompt.js';
import type { SourceContract } from './source.js';

export interface Progress {
  readonly step: 'read' | 'count' | 'summarize' | 'merge' | 'record';
  readonly done: number;
  readonly total: number;
}

export interface Material {
  readonly contracts: readonly SourceContract[];
  readonly previous: Statements | null;
  readonly evidence: ReadonlyMap<string, Evidence>;
  readonly intent: string | null;
}

export interface Summary {
  readonly kept: Statements;
  readonly removed: MemoryContent['removed'];
  readonly parts: number;
}

/** What no API takes in one request is not worth counting there. */
const MOST_CHARACTERS = 8_000_000;

export class Summarizing {
  private readonly asking: Asking;
  private removed: MemoryContent['removed'] = [];

  constructor(
    private readonly model: LanguageModel,
    private readonly signal: AbortSignal,
    private readonly report: (progress: Progress) => void,
  ) {
    this.asking = new Asking(model, signal);
  }

  /** Of every call, also of those whose answer could not be used. */
  get usage(): Usage {
    return this.asking.usage;
  }

  /** Throws `llm_unavailable` when no usable summary can be had of the model. */
  async run({ contracts, previous, evidence, intent }: Material): Promise<Summary> {
    const whole = promptFor(previous ? 'fold' : 'compress', contracts, previous, intent);
    this.report({ step: 'count', done: 0, total: 1 });
    if (await this.fits(whole)) {
      this.report({ step: 'summarize', done: 0, total: 1 });
      const kept = await this.ask(whole, evidence);
      return this.finished(kept, 1);
    }
    const parts = await this.split(contracts, intent);
    const drafts: Statements[] = previous ? [previous] : [];
    for (const [done, part] of parts.entries()) {
      this.report({ step: 'summarize', done, total: parts.length });
      drafts.push(await this.ask(promptFor('compress', part, null, intent), evidence));
    }
    return this.finished(await this.merge(drafts, evidence, intent), parts.length);
  }

  private finished(kept: Statements, parts: number): Summary {
    if (allStatements(kept).length > 0) return { kept, removed: this.removed, parts };
    throw unusable('nothing it said could be kept');
  }

  /** Consecutive parts that each fit, by halving: the model's own count decides. */
  private async split(contracts: readonly SourceContract[], intent: string | null): Promise<(readonly SourceContract[])[]> {
    if (contracts.length === 1) return [contracts];
    const middle = Math.ceil(contracts.length / 2);
    const parts: (readonly SourceContract[])[] = [];
    for (const half of [contracts.slice(0, middle), contracts.slice(middle)]) {
      this.report({ step: 'count', done: half[0] === contracts[0] ? 0 : 1, total: 2 });
      if (await this.fits(promptFor('compress', half, null, intent))) parts.push(half);
      else if (half.length > 1) parts.push(...(await this.split(half, intent)));
      else throw unusable(`one contract alone has more than the ${this.model.maxInput} tokens of ANTHROPIC_MAX_INPUT_TOKENS`);
    }
    return parts;
  }

  private async fits(prompt: Prompt): Promise<boolean> {
    return prompt.source.length <= MOST_CHARACTERS && (await this.model.count(prompt, this.signal)) <= this.model.maxInput;
  }

  /** Drafts are merged as many at a time as fit; two that do not fit together stay as they are, one after the other. */
  private async merge(drafts: readonly Statements[], evidence: Material['evidence'], intent: string | null): Promise<Statements> {
    let merged = drafts[0] ?? NOTHING;
    for (let next = 1; next < drafts.length; ) {
      let many = drafts.length - next;
      let prompt = mergePrompt(merged, drafts.slice(next), intent);
      while (many > 0 && !(await this.fits(prompt))) {
        many = Math.floor(many / 2);
        prompt = mergePrompt(merged, drafts.slice(next, next + many), intent);
      }
      if (many === 0) return join([merged, ...drafts.slice(next)]);
      this.report({ step: 'merge', done: next, total: drafts.length });
      merged = await this.ask(prompt, evidence);
      next += many;
    }
    return merged;
  }

  /** What it cites wrongly is taken out, which is no reason to ask again. */
  private async ask(prompt: Prompt, evidence: Material['evidence']): Promise<Statements> {
    const { kept, removed } = check(await this.asking.ask(prompt, Answer), evidence);
    this.removed = [...this.removed, ...removed];
    return kept;
  }
}

const mergePrompt = (merged: Statements, more: readonly Statements[], intent: string | null): Prompt =>
  promptFor('merge', [], join([merged, ...more]), intent);
