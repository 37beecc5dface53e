/**
 * The words of a memory block: the compressed form of a session, in which every statement names the contracts it rests on. What is stored is
 * `MemoryContent`, one erasable disclosure of a session.compressed event; id, time and session are the event's own.
 */
import { z } from 'zod';

export const SECTIONS = ['sentences', 'key_decisions', 'facts', 'preferences', 'open_questions', 'failures'] as const;
export type Section = (typeof SECTIONS)[number];

/** Something said, and the ids of the REQUESTs it rests on; never none. */
export const Statement = z.object({ text: z.string(), contracts: z.array(z.string()).min(1) });
export interface Statement {
  readonly text: string;
  readonly contracts: readonly string[];
}

/** What a summarizer says, section by section. */
export type Statements = Readonly<Record<Section, readonly Statement[]>>;

const statements = z.array(Statement);

/** A member that is added later must be optional: blocks that were recorded without it stay readable. */
export const MemoryContent = z.object({
  /** The sentences as one text. */
  summary: z.string(),
  sentences: statements,
  key_decisions: statements,
  facts: statements,
  preferences: statements,
  open_questions: statements,
  failures: statements,
  /** Contracts that are cited, by their REQUEST. Carried: read by an earlier block, not by this one. */
  citations: z.array(z.object({ contract_id: z.string(), seq: z.number(), carried: z.boolean() })),
  /** Cited ÷ all contracts of the range. */
  coverage: z.number(),
  /** Contracts of the range that nothing cites. With the citations that are not carried: all of them. */
  not_covered: z.array(z.string()),
  /** Contracts the previous block cited and this one does not. */
  forgotten: z.array(z.string()),
  /** What the summarizer said and the check of its citations took out. */
  removed: z.array(z.object({ section: z.enum(SECTIONS), text: z.string(), contracts: z.array(z.string()), reason: z.string() })),
  removed_total: z.number(),
  /** Contracts of which the summarizer saw only the beginning of a value. */
  shortened: z.array(z.string()),
  from_seq: z.number(),
  to_seq: z.number(),
  /** Hash of the record at to_seq; through its links it commits to everything before. */
  source_hash: z.string(),
  previous_block: z.string().nullable(),
  summarizer: z.enum(['llm', 'extractive']),
  /** Why a language model that is configured did not make the block. */
  fallback: z.string().nullable(),
  model: z.string().nullable(),
  prompt_hash: z.string().nullable(),
  /** In how many pieces the source was read. */
  parts: z.number(),
  tokens_in: z.number(),
  tokens_out: z.number(),
  /** Of tokens_in, those read from the model's cache. */
  tokens_cached: z.number(),
  /** In the currency of the configured prices; null without them. */
  cost: z.number().nullable(),
  /** Characters of the source ÷ characters of the statements. */
  compression_ratio: z.number(),
  intent: z.string().nullable(),
});

export type MemoryContent = z.output<typeof MemoryContent>;

export interface MemoryBlock extends MemoryContent {
  readonly memory_block_id: string;
  readonly session_id: string | null;
  readonly compressed_at: string;
  /** Whether MemAgent has it: off, waiting, delivered, or refused for good. */
  readonly memagent: 'off' | 'waiting' | 'delivered' | 'refused';
  readonly receipt: { readonly stream: string; readonly seq: number; readonly hash: string };
}

export const NOTHING: Statements = { sentences: [], key_decisions: [], facts: [], preferences: [], open_questions: [], failures: [] };

export const allStatements = (from: Statements): Statement[] => SECTIONS.flatMap((section) => from[section]);

/** One after the other, the same statement once. */
export function join(parts: readonly Statements[]): Statements {
  const joined = (section: Section) => {
    const seen = new Map<string, Statement>();
    for (const statement of parts.flatMap((part) => part[section])) {
      const before = seen.get(statement.text);
      const contracts = before ? [...new Set([...before.contracts, ...statement.contracts])] : statement.contracts;
      seen.set(statement.text, { text: statement.text, contracts });
    }
    return [...seen.values()];
  };
  return sectionwise(joined);
}

export function sectionwise<T>(make: (section: Section) => T): Record<Section, T> {
  return Object.fromEntries(SECTIONS.map((section) => [section, make(section)])) as Record<Section, T>;
}
