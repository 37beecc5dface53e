/** The words of a recorded decision: the disclosure `routing` of a REQUEST. Members may be added, none ever changes its meaning. */
import type { JsonValue } from '../kernel/json.js';
import type { Balancing } from './balance.js';
import type { Candidate, RefusalReason } from './candidates.js';
import type { Match } from './lexicon.js';
import type { RuleMatch } from './rules.js';

/** Which rung of the ladder decided. */
export type Method = 'agent_id' | 'capability' | 'rule' | 'lexical' | 'llm' | 'fallback' | 'none';

/** One that was looked at. */
export interface Named {
  readonly agent_id: string;
  readonly capability?: string;
  /** Of the balancing among those that offer the same: see docs/routing.md. */
  readonly score?: number;
  readonly turn?: number;
  /** How well its words fit the message: BM25+. */
  readonly match?: number;
  /** What meaning adds to that. */
  readonly meaning?: number;
  readonly refused?: RefusalReason;
}

/** What the model said, or why it could not be asked. */
export interface ModelEvidence {
  readonly model: string;
  /** SHA-256 of all it was told beside the data: routing/prompt.ts. */
  readonly prompt: string;
  /** What it could choose from, and of how many. */
  readonly shown: readonly { readonly agent_id: string; readonly capability: string }[];
  readonly of: number;
  readonly ms: number;
  /** As it came; absent if there was none. */
  readonly answer?: JsonValue;
  readonly input_tokens?: number;
  readonly output_tokens?: number;
  readonly error?: string;
}

export interface Evidence {
  readonly method: Method;
  /** Everything that was sequenced below this idx was known to the registry. */
  readonly registry: number;
  /** Only its id where there was no choice. */
  readonly candidates: readonly (string | Named)[];
  /** Others that were looked at and are not named. */
  readonly more?: number;
  /** How those who offer the same were ranked. */
  readonly balancing?: Balancing;
  /** What the caller preferred of them. */
  readonly preferred_protocol?: string;
  /** The parameter the message became. */
  readonly message_as?: string;
  readonly strategy?: string;
  readonly threshold?: number;
  /** Of the rung that decided. */
  readonly confidence?: number;
  readonly rules?: readonly RuleMatch[];
  /** `meaning`: its share in how near the nearest is. */
  readonly lexical?: { readonly confidence: number; readonly meaning?: number };
  readonly llm?: ModelEvidence;
  /** Rungs that should have decided and did not. */
  readonly fell_back?: readonly { readonly from: Method; readonly why: string }[];
}

const MOST_NAMED = 20;
const MOST_NEAREST = 5;

/** The candidates as they are recorded, and how they were ranked. One of whom there is nothing to say: its id. `matches`: of the whole message. */
export function named(
  candidates: readonly Candidate[],
  capability: string,
  { knowledge, matches = [] }: { knowledge: { balancing: Balancing }; matches?: readonly Match[] },
): Pick<Evidence, 'candidates' | 'more' | 'balancing'> {
  const [only, second] = candidates;
  if (only && !second && matches.length === 0) {
    const { agent_id } = only.agent.description;
    return { candidates: [only.refused === null ? agent_id : { agent_id, capability, refused: only.refused }] };
  }
  const fit = new Map(matches.filter((match) => match.capability === capability).map((match) => [match.agent, match]));
  const own = candidates.slice(0, MOST_NAMED).map((candidate) => nameOf(candidate, capability, fit.get(candidate.agent)));
  const more = candidates.length - own.length;
  const agents = new Set(candidates.map(({ agent }) => agent));
  const others = matches.filter((match) => match.capability !== capability || !agents.has(match.agent));
  return {
    candidates: [...own, ...nearby(others)],
    ...(more > 0 && { more }),
    ...(second && { balancing: knowledge.balancing }),
  };
}

function nameOf({ agent, place, refused }: Candidate, capability: string, match: Match | undefined): Named {
  return {
    agent_id: agent.description.agent_id,
    capability,
    ...(place && Number.isFinite(place.score) && { score: place.score }),
    ...(place && Number.isFinite(place.turn) && place.turn !== place.score && { turn: place.turn }),
    ...(match && fitOf(match)),
    ...(refused && { refused }),
  };
}

const fitOf = ({ score, meaning }: Match) => ({ match: score, ...(meaning > 0 && { meaning }) });

/** The nearest, each capability once. */
export function nearby(matches: readonly Match[]): Named[] {
  const seen = new Set<string>();
  const nearest: Named[] = [];
  for (const match of matches) {
    const { agent, capability } = match;
    if (nearest.length === MOST_NEAREST) break;
    if (seen.has(capability)) continue;
    seen.add(capability);
    nearest.push({ agent_id: agent.description.agent_id, capability, ...fitOf(match), refused: 'low_score' });
  }
  return nearest;
}

export const recorded = (evidence: Evidence): JsonValue => evidence as unknown as JsonValue;
