/** The operator's own rules: which words mean which capability. Read from a file, checked once, matched in time linear to the message. */
import { RE2JS } from 're2js';
import { z } from 'zod';
import { AgentId, Capability } from '../agents/agent.js';
import { MOST_READ, wordsOf } from './words.js';

const Weight = z.number().gt(0).max(1);
const CapabilityName = Capability.shape.name;

/** How sure a rule is when this stands in the message, by what stands there. */
const weighted = (holds: (text: string) => boolean, error: string) =>
  z
    .record(z.string().min(1).max(500), Weight)
    .default({})
    .superRefine((all, context) => {
      for (const text of Object.keys(all)) if (!holds(text)) context.addIssue({ code: 'custom', path: [text], message: error });
    });

const Rule = z
  .strictObject({
    /** For the record; the capability's name unless given. */
    name: z.string().min(1).max(100).optional(),
    capability: CapabilityName,
    /** Only this agent. */
    agent_id: AgentId.optional(),
    /** A word, or several in a row. */
    keywords: weighted((text) => wordsOf(text).length > 0, 'must hold a word'),
    /** No look-around and no back references: what is left is matched without backtracking. */
    patterns: weighted(compiles, 'must be a regular expression of RE2: no back references and no look-around'),
  })
  .refine(({ keywords, patterns }) => Object.keys(keywords).length + Object.keys(patterns).length > 0, 'needs keywords or patterns');

export const RoutingFile = z.strictObject({
  rules: z.array(Rule).max(1000).default([]),
  /** Who takes what fits nobody. `capability` may be left out if the agent has only one. */
  fallback: z.strictObject({ agent_id: AgentId, capability: CapabilityName.optional() }).nullable().default(null),
});
export type RoutingFile = z.output<typeof RoutingFile>;

export interface RuleMatch {
  readonly name: string;
  readonly capability: string;
  /** Only this agent; absent: whoever offers it. */
  readonly agent_id?: string;
  /** From 0 to 1: 1 - Π(1 - weight) of everything that matched. */
  readonly confidence: number;
  /** The keywords and patterns that matched. */
  readonly matched: string[];
}

interface Term {
  readonly text: string;
  readonly weight: number;
  matches(message: string, words: string): boolean;
}

export class Rules {
  readonly fallback: RoutingFile['fallback'];
  private readonly rules: readonly { rule: Pick<RuleMatch, 'name' | 'capability' | 'agent_id'>; terms: readonly Term[] }[];

  constructor(file: RoutingFile) {
    this.fallback = file.fallback;
    this.rules = file.rules.map(({ name, capability, agent_id, keywords, patterns }) => ({
      rule: { name: name ?? capability, capability, ...(agent_id !== undefined && { agent_id }) },
      terms: [
        ...Object.entries(keywords).map(([text, weight]) => keyword(text, weight)),
        ...Object.entries(patterns).map(([text, weight]) => pattern(text, weight)),
      ],
    }));
  }

  /** Those that match, surest first; of two as sure, the one that stands first in the file. */
  match(message: string): RuleMatch[] {
    if (this.rules.length === 0) return [];
    const read = message.slice(0, MOST_READ);
    const words = inRow(wordsOf(read));
    const matches = this.rules.flatMap(({ rule, terms }) => {
      const hit = terms.filter((term) => term.matches(read, words));
      if (hit.length === 0) return [];
      const confidence = 1 - hit.reduce((doubt, { weight }) => doubt * (1 - weight), 1);
      return [{ ...rule, confidence: Math.round(confidence * 1e6) / 1e6, matched: hit.map(({ text }) => text) }];
    });
    return matches.sort((a, b) => b.confidence - a.confidence);
  }
}

/** Words with a separator around each, so that a row of them is found as a part of the text. */
const inRow = (words: readonly string[]): string => `\n${words.join('\n')}\n`;

function keyword(text: string, weight: number): Term {
  const wanted = inRow(wordsOf(text));
  return { text, weight, matches: (_, words) => words.includes(wanted) };
}

function pattern(text: string, weight: number): Term {
  const compiled = compile(text);
  return { text: `/${text}/`, weight, matches: (message) => compiled.test(message) };
}

const compile = (text: string) => RE2JS.compile(text, RE2JS.CASE_INSENSITIVE);

function compiles(text: string): boolean {
  try {
    compile(text);
    return true;
  } catch {
    return false;
  }
}
