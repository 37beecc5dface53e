/** From contracts to a memory block: by a language model where there is one that answers, otherwise by extraction. */
import { OrchestratorError } from '../kernel/errors.js';
import { allStatements, type MemoryContent, type Statements } from './block.js';
import { account, type Evidence, evidenceOf } from './citations.js';
import { extract } from './extract.js';
import { costOf, type LanguageModel, NO_USAGE, type Prices, type Usage } from './language-model.js';
import { PROMPT_HASH, statementsOf } from './prompt.js';
import type { Source } from './source.js';
import { type Progress, Summarizing, type Summary } from './summarize.js';

/** The language model, and what it costs. */
export interface Summarizer {
  /** null: none is configured. */
  readonly model: LanguageModel | null;
  readonly prices: Prices;
}

/** Token under which it is injected. */
export const SUMMARIZER = Symbol('Summarizer');

export interface Wanted {
  readonly intent: string | null;
  /** Fail rather than extract. */
  readonly requireModel: boolean;
  readonly signal: AbortSignal;
  readonly report: (progress: Progress) => void;
  /** What the model was paid for, whether or not a block comes of it. */
  readonly spent: (usage: Usage) => void;
}

export interface Base {
  readonly id: string;
  readonly content: MemoryContent;
}

interface Made extends Summary {
  readonly model: string | null;
  readonly usage: Usage;
  readonly fallback: string | null;
}

const MOST_REMOVED = 100;

export async function compress(source: Source, base: Base | null, { model, prices }: Summarizer, wanted: Wanted): Promise<MemoryContent> {
  const previous = base && statementsOf(base.content);
  const evidence = evidenceOf(source.contracts, base?.content ?? null);
  const made = await make({ source, previous, evidence }, model, wanted);
  const { kept, removed, usage } = made;
  const size = source.contracts.reduce((sum, contract) => sum + contract.size, 0);
  const said = allStatements(kept).reduce((sum, { text }) => sum + text.length, 0);
  return {
    summary: kept.sentences.map(({ text }) => text).join(' '),
    ...mutable(kept),
    ...account(kept, source.contracts, evidence, base?.content ?? null),
    removed: removed.slice(0, MOST_REMOVED),
    removed_total: removed.length,
    shortened: source.contracts.filter((contract) => contract.shortened).map(({ id }) => id),
    from_seq: source.from_seq,
    to_seq: source.to_seq,
    source_hash: source.source_hash,
    previous_block: base?.id ?? null,
    summarizer: made.model === null ? 'extractive' : 'llm',
    fallback: made.fallback,
    model: made.model,
    prompt_hash: made.model === null ? null : PROMPT_HASH,
    parts: made.parts,
    tokens_in: usage.input + usage.cacheWrite + usage.cacheRead,
    tokens_out: usage.output,
    tokens_cached: usage.cacheRead,
    cost: costOf(usage, prices),
    compression_ratio: Math.round((size / Math.max(1, said)) * 100) / 100,
    intent: wanted.intent,
  };
}

async function make(
  { source, previous, evidence }: { source: Source; previous: Statements | null; evidence: Map<string, Evidence> },
  model: LanguageModel | null,
  wanted: Wanted,
): Promise<Made> {
  const { contracts } = source;
  if (model === null) {
    if (wanted.requireModel) throw new OrchestratorError('llm_unavailable', 'no language model is configured; set ANTHROPIC_API_KEY');
    return { kept: extract(contracts, previous), removed: [], parts: 1, model: null, usage: NO_USAGE, fallback: null };
  }
  const summarizing = new Summarizing(model, wanted.signal, wanted.report);
  try {
    const summary = await summarizing.run({ contracts, previous, evidence, intent: wanted.intent });
    return { ...summary, model: model.name, usage: summarizing.usage, fallback: null };
  } catch (error) {
    const expected = error instanceof OrchestratorError && error.code === 'llm_unavailable';
    if (!expected || wanted.requireModel) throw error;
    const kept = extract(contracts, previous);
    return { kept, removed: [], parts: 1, model: null, usage: summarizing.usage, fallback: error.message };
  } finally {
    wanted.spent(summarizing.usage);
  }
}

/** Statements as the stored form has them. */
function mutable(kept: Statements): Pick<MemoryContent, keyof Statements> {
  const copy = (statements: Statements['facts']) => statements.map(({ text, contracts }) => ({ text, contracts: [...contracts] }));
  return {
    sentences: copy(kept.sentences),
    key_decisions: copy(kept.key_decisions),
    facts: copy(kept.facts),
    preferences: copy(kept.preferences),
    open_questions: copy(kept.open_questions),
    failures: copy(kept.failures),
  };
}
