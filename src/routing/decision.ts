/** What is asked, what is known, and what comes of it: the words of routing, and the last step of every rung. */
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';
import { type Candidate, type Circumstances, isAble, obstacle, type RefusalReason, weigh } from './candidates.js';
import { type Evidence, type Method, named, recorded } from './evidence.js';
import type { Lexicon, Match } from './lexicon.js';
import type { Shortlist } from './model-answer.js';
import type { Rules } from './rules.js';

export interface Wish {
  readonly capability?: string | undefined;
  readonly agent_id?: string | undefined;
  /** What is wanted, in words: decides where no capability is named, and is handed over with it. */
  readonly message?: string | undefined;
  /** Of those who can do it, who speaks this protocol goes first. */
  readonly preferred_protocol?: string | undefined;
}

export interface Question extends Wish {
  /** What the caller gave. */
  readonly parameters: Readonly<Record<string, JsonValue>>;
  /** Who had the latest call of the session, where that is known: of several that mean the same the model is shown this one. */
  readonly previous?: string | null | undefined;
}

export interface Directory {
  get(agentId: string): RegisteredAgent | undefined;
  offering(capability: string): readonly RegisteredAgent[];
  capabilities(): string[];
  all(): readonly RegisteredAgent[];
  /** Everything that was sequenced below this idx is in it. */
  readonly position: number;
}

export const STRATEGIES = ['simple', 'llm', 'hybrid'] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** All that decides beside the question. */
export interface Knowledge extends Circumstances {
  readonly directory: Directory;
  readonly rules: Rules;
  /** Made of the directory. */
  lexicon(): Lexicon;
  readonly strategy: Strategy;
  /** How sure a rung must be to decide. */
  readonly threshold: number;
  /** Most candidates the model is shown; null: there is no model. */
  readonly shown: number | null;
}

/** Somebody who can be given the task, and as what. */
export interface Choice {
  readonly agent: RegisteredAgent;
  /** Registered name of the capability. */
  readonly capability: string;
  /** What it gets; absent: what the caller gave, as it is. */
  readonly parameters?: Record<string, JsonValue>;
}

export interface Decision {
  /** Whoever may get the task, best first. Empty: nobody. The later ones are there for when the first does not do it. */
  readonly ranked: readonly Choice[];
  /** In words, why there is no agent; null if there is one. */
  readonly refused: string | null;
  /** What stands in the way of the one that is nearest to taking it; null: nobody offers what was asked for, or somebody takes it. */
  readonly obstacle: RefusalReason | null;
  /** The evidence, recorded as payload `routing`. */
  readonly evidence: JsonValue;
}

/** A language model must be asked first. */
export interface Ask {
  readonly ask: Shortlist;
}

const MOST_LISTED = 20;
const NEAREST_TO_TAKING: readonly RefusalReason[] = ['over_limit', 'breaker_open', 'schema_mismatch', 'stopped', 'low_score'];

export interface Deciding {
  readonly knowledge: Knowledge;
  readonly method: Method;
  /** What else decided. */
  readonly evidence?: Partial<Evidence>;
  /** How well words fit the message. */
  readonly matches?: readonly Match[];
  /** It was chosen itself: it goes before the others. */
  readonly first?: RegisteredAgent | undefined;
}

/** One of these agents gets it, as this capability. */
export function decision(agents: readonly RegisteredAgent[], capability: string, question: Question, deciding: Deciding): Decision {
  const { knowledge, method } = deciding;
  const [only, second] = agents;
  if (only && !second && question.message === undefined && obstacle(only, knowledge) === null) return plain(only, capability, deciding);
  const { message, parameters: given, preferred_protocol: preferred } = question;
  const candidates = weigh(agents, { capability, message, given, preferred }, knowledge);
  const able = candidates.filter(isAble).sort((a, b) => Number(b.agent === deciding.first) - Number(a.agent === deciding.first));
  const as = able[0]?.messageAs;
  const evidence: Evidence = {
    method,
    registry: knowledge.directory.position,
    ...named(candidates, capability, deciding),
    ...(preferred !== undefined && { preferred_protocol: preferred }),
    ...deciding.evidence,
    ...(as && { message_as: as }),
  };
  const ranked = able.map(({ agent, parameters }) => ({ agent, capability, ...(parameters && { parameters }) }));
  if (ranked.length > 0) return { ranked, refused: null, obstacle: null, evidence: recorded(evidence) };
  const nearest = NEAREST_TO_TAKING.find((reason) => candidates.some(({ refused }) => refused === reason)) ?? null;
  const refused = method === 'agent_id' ? refusedAgent(candidates[0]!) : refusedAll(capability, candidates);
  return { ranked, refused, obstacle: nearest, evidence: recorded(evidence) };
}

/** There was nothing to choose: on the path of most calls, so it makes no more than it must. */
function plain(agent: RegisteredAgent, capability: string, { method, knowledge: { directory } }: Deciding): Decision {
  const evidence = { method, registry: directory.position, candidates: [agent.description.agent_id] };
  return { ranked: [{ agent, capability }], refused: null, obstacle: null, evidence };
}

interface Refusing {
  readonly method: Method;
  readonly knowledge: Knowledge;
  readonly candidates?: readonly string[];
}

export function nobody(refused: string, { method, knowledge, candidates = [] }: Refusing): Decision {
  const evidence: Evidence = { method, registry: knowledge.directory.position, candidates };
  return { ranked: [], refused, obstacle: null, evidence: recorded(evidence) };
}

const IN_WORDS: Record<RefusalReason, string> = {
  stopped: 'stopped',
  unhealthy: 'not well',
  breaker_open: 'failing too often to be called for now',
  over_limit: 'busy with as many calls as it takes',
  schema_mismatch: 'of another input schema',
  low_score: 'too far from what is wanted',
};

const refusedAgent = ({ agent, refused }: Candidate) => `agent "${agent.description.agent_id}" is ${IN_WORDS[refused!]}`;

function refusedAll(capability: string, candidates: readonly Candidate[]): string {
  const ids = (some: readonly Candidate[]) => some.map(({ agent }) => agent.description.agent_id);
  const [first] = candidates;
  if (candidates.every(({ refused }) => refused === first!.refused)) {
    return `everybody who offers "${capability}" is ${IN_WORDS[first!.refused!]}: ${list(ids(candidates))}`;
  }
  const each = candidates.map(({ agent, refused }) => `${agent.description.agent_id} is ${IN_WORDS[refused!]}`);
  return `nobody who offers "${capability}" can take it: ${list(each)}`;
}

export const list = (names: readonly string[]): string =>
  names.slice(0, MOST_LISTED).join(', ') + (names.length > MOST_LISTED ? ` and ${names.length - MOST_LISTED} more` : '');
