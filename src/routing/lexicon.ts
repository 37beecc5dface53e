/**
 * Which capability a message is about, by its words alone: names, descriptions, tags and examples of everything that is offered, ranked by
 * BM25+. Offline and deterministic: the same agents and the same message give the same answer.
 */
import MiniSearch, { type SearchResult } from 'minisearch';
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';
import { MOST_READ, termsOf, wordsOf, wordsOfName } from './words.js';

export interface Match {
  readonly agent: RegisteredAgent;
  readonly capability: string;
  /** BM25+, comparable within one search only. */
  readonly score: number;
}

export interface Ranking {
  /** Best first; of one score, in the order of the directory. */
  readonly matches: readonly Match[];
  /** How likely the first one's capability is what was meant. */
  readonly confidence: number;
  /** What the confidence is made of; null: nothing matched. */
  readonly features: Features | null;
}

interface Offer {
  /** Place of the agent in the directory. */
  readonly at: number;
  readonly capability: string;
}

type Offered = RegisteredAgent['description']['capabilities'][number];

/** By how much a word counts more in the ranking where it stands there. */
const FIELDS = { name: 1.5, tags: 2, description: 1.5, examples: 1.5, agent: 0.5 };
/** How far a word that stands there says that this is meant: an example may be about anything. */
const SAYING = { name: 1, tags: 1, description: 0.8, examples: 0.6, agent: 0.6 };
/** Strings of the examples of one capability, and how deep they are looked for. */
const EXAMPLES = { most: 200, levels: 4 };

export class Lexicon {
  private readonly index: MiniSearch;
  private readonly offers: Offer[] = [];
  /** In how many capabilities, by name, a term stands. */
  private readonly spread = new Map<string, number>();
  private readonly capabilities: number;

  constructor(private agents: readonly RegisteredAgent[]) {
    this.index = new MiniSearch({
      fields: Object.keys(FIELDS),
      tokenize: (text) => text.split(' '),
      processTerm: (term) => term || null,
      searchOptions: { boost: FIELDS },
    });
    const terms = new Map<string, Set<string>>();
    const documents = agents.flatMap((agent, at) =>
      agent.description.capabilities.map((offered) => {
        const id = this.offers.push({ at, capability: offered.name }) - 1;
        const document = textOf(agent, offered);
        const known = terms.get(offered.name) ?? new Set();
        terms.set(offered.name, known);
        for (const text of Object.values(document)) for (const term of text.split(' ')) known.add(term);
        return { id, ...document };
      }),
    );
    this.index.addAll(documents);
    this.capabilities = terms.size;
    for (const known of terms.values()) for (const term of known) this.spread.set(term, (this.spread.get(term) ?? 0) + 1);
  }

  /** The same agents as before, described as before: how they are may have changed. */
  over(agents: readonly RegisteredAgent[]): this {
    this.agents = agents;
    return this;
  }

  /** `among`: only what this agent offers. */
  rank(message: string, among?: RegisteredAgent): Ranking {
    const terms = [...new Set(termsOf(wordsOf(message.slice(0, MOST_READ))))];
    if (terms.length === 0) return NOTHING;
    const filter = among && (({ id }: { id: number }) => this.agents[this.offers[id]!.at] === among);
    const found = this.index
      .search(terms.join(' '), filter ? { filter } : {})
      .map((hit) => ({ ...hit, score: Math.round(hit.score * 1e4) / 1e4 }));
    found.sort((a, b) => b.score - a.score || a.id - b.id);
    const matches = found.map(({ id, score }): Match => {
      const { at, capability } = this.offers[id as number]!;
      return { agent: this.agents[at]!, capability, score };
    });
    const [best] = matches;
    if (!best) return NOTHING;
    const rival = matches.find(({ capability }) => capability !== best.capability);
    const features = this.features(terms, found[0]!.match, rival ? rival.score / best.score : 0);
    return { matches, confidence: confidenceOf(features), features };
  }

  private features(terms: readonly string[], hits: SearchResult['match'], rivalry: number): Features {
    let told = 0;
    let all = 0;
    for (const term of terms) {
      const weight = this.weightOf(term);
      all += weight;
      told += weight * Math.max(0, ...(hits[term] ?? []).map((field) => SAYING[field as keyof typeof SAYING]));
    }
    return { coverage: told / all, told, margin: 1 - rivalry };
  }

  /** How much a term tells, up to 1: those that stand everywhere little, those that stand nowhere as much as one that stands once. */
  private weightOf(term: string): number {
    const spread = this.spread.get(term) ?? 1;
    return Math.log(1 + this.capabilities / spread) / Math.log(1 + this.capabilities);
  }
}

const NOTHING: Ranking = { matches: [], confidence: 0, features: null };

export interface Features {
  /** Of what the message says, by weight, as much stands with the best match. */
  readonly coverage: number;
  /** How much that is. */
  readonly told: number;
  /** By what share the next capability is behind. */
  readonly margin: number;
}

/** A logistic curve over the three, fitted by `bench/routing.mjs --fit` to the half of the labelled messages that is never reported. */
const CURVE = { base: -2.65, coverage: 0.63, told: 3.02, margin: 0.78 };

function confidenceOf({ coverage, told, margin }: Features): number {
  const height = CURVE.base + CURVE.coverage * coverage + CURVE.told * told + CURVE.margin * margin;
  return Math.round((1 / (1 + Math.exp(-height))) * 1e4) / 1e4;
}

function textOf({ description: agent }: RegisteredAgent, offered: Offered): Record<keyof typeof FIELDS, string> {
  const properties = Object.keys(objectOf(offered.input_schema?.['properties']));
  return {
    name: joined(wordsOfName(offered.name)),
    tags: joined((offered.tags ?? []).flatMap(wordsOfName)),
    examples: joined(stringsIn(offered.examples ?? []).flatMap(wordsOf)),
    description: joined([...wordsOf(offered.description), ...properties.flatMap(wordsOfName)]),
    agent: joined([...wordsOfName(agent.name), ...wordsOf(agent.description)]),
  };
}

const joined = (words: readonly string[]): string => termsOf(words).join(' ');

function stringsIn(value: JsonValue): string[] {
  const found: string[] = [];
  const look = (at: JsonValue, levels: number) => {
    if (found.length >= EXAMPLES.most || levels < 0) return;
    if (typeof at === 'string') found.push(at);
    else if (typeof at === 'object' && at !== null) for (const inner of Object.values(at)) look(inner, levels - 1);
  };
  look(value, EXAMPLES.levels);
  return found;
}

const objectOf = (value: JsonValue | undefined): object => (typeof value === 'object' && value !== null ? value : {});
