/**
 * Which capability a message is about: by its words, ranked by BM25+ over the names, descriptions, tags and examples of everything that is
 * offered, and by what its words mean. Offline and deterministic: the same agents and the same message give the same answer.
 */
import MiniSearch from 'minisearch';
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';
import type { Meanings } from './meanings.js';
import { Nearness, type Spoken } from './nearness.js';
import { MOST_READ, type Said, saidBy, wordsOf, wordsOfName } from './words.js';

export interface Match {
  readonly agent: RegisteredAgent;
  readonly capability: string;
  /** BM25+, comparable within one search only. */
  readonly score: number;
  /** What the meaning of the capability adds to that. */
  readonly meaning: number;
}

export interface Ranking {
  /** Best first, by words and meaning together; of those that are the same, in the order of the directory. */
  readonly matches: readonly Match[];
  /** How likely the first one's capability is what was meant. */
  readonly confidence: number;
  /** What the confidence is made of; null: nothing matched. */
  readonly features: Features | null;
}

interface Found extends Match {
  readonly id: number;
  readonly total: number;
}

interface Offer {
  /** Place of the agent in the directory. */
  readonly at: number;
  readonly capability: string;
}

type Offered = RegisteredAgent['description']['capabilities'][number];

/** By how much a word counts more where it stands there. */
const FIELDS = { name: 1.5, tags: 2, description: 1.5, examples: 1.5, agent: 0.5 };
type Field = keyof typeof FIELDS;
/** Strings of the examples of one capability, and how deep they are looked for. */
const EXAMPLES = { most: 200, levels: 4 };

/** Meaning beside words, chosen by cross-validation on the tuning half: docs/routing.md. */
const MEANING = {
  /** A message that means just what a capability does counts as much as so many words that only this one has. */
  whole: 25,
  /** Of that, a word that stands there, or means the same as one that does. */
  byWord: 0.5,
  /** Capabilities that are compared word by word. */
  nearest: 4,
  /** Without a word in common, a capability with less meaning in common is no match. */
  least: 0.5,
  /** Of meaning, what nearly everything has with something: no less is what the best is held against. */
  common: 0.7,
};

export class Lexicon {
  private readonly index: MiniSearch;
  private readonly offers: Offer[] = [];
  private readonly nearness: Nearness;
  /** Offers of each capability, by name. */
  private readonly offering = new Map<string, number[]>();
  /** In how many capabilities, by name, a term stands. */
  private readonly spread = new Map<string, number>();
  /** What a message adds that as a whole means just the same. */
  private readonly scale: number;

  constructor(
    private agents: readonly RegisteredAgent[],
    meanings: Meanings,
  ) {
    this.index = new MiniSearch({
      fields: Object.keys(FIELDS),
      tokenize: (text) => text.split(' '),
      processTerm: (term) => term || null,
      searchOptions: { boost: FIELDS },
    });
    const spoken = new Map<string, Map<string, Spoken>>();
    const documents = agents.flatMap((agent, at) =>
      agent.description.capabilities.map((offered) => {
        const { name } = offered;
        const id = this.offers.push({ at, capability: name }) - 1;
        const fields = Object.entries(textOf(agent, offered)) as [Field, Said[]][];
        const known = spoken.get(name) ?? new Map<string, Spoken>();
        for (const [field, said] of fields) keep(known, said, FIELDS[field]);
        spoken.set(name, known);
        const offering = this.offering.get(name) ?? [];
        offering.push(id);
        this.offering.set(name, offering);
        return { id, ...Object.fromEntries(fields.map(([field, said]) => [field, said.map(({ term }) => term).join(' ')])) };
      }),
    );
    this.index.addAll(documents);
    this.nearness = new Nearness(meanings, spoken);
    this.scale = MEANING.whole * Math.log(1 + spoken.size);
    for (const said of spoken.values())
      for (const term of new Set([...said.values()].map((one) => one.term))) this.spread.set(term, (this.spread.get(term) ?? 0) + 1);
  }

  /** The same agents as before, described as before: how they are may have changed. */
  over(agents: readonly RegisteredAgent[]): this {
    this.agents = agents;
    return this;
  }

  /** `among`: only what this agent offers. */
  rank(text: string, among?: RegisteredAgent): Ranking {
    const message = [...new Map(saidBy(wordsOf(text.slice(0, MOST_READ))).map((said) => [said.term, said])).values()];
    const scores = this.scores(message, among);
    const near = this.near(message, scores, among);
    const ids = new Set(scores.keys());
    for (const capability of near.keys()) for (const id of this.of(capability, among)) ids.add(id);
    const matches: Found[] = [];
    for (const id of ids) {
      const { at, capability } = this.offers[id]!;
      const [score, meaning] = [scores.get(id) ?? 0, near.get(capability)?.meaning ?? 0];
      matches.push({ id, total: score + meaning, agent: this.agents[at]!, capability, score, meaning });
    }
    matches.sort((a, b) => b.total - a.total || a.id - b.id);
    const [best] = matches;
    if (!best) return NOTHING;
    const rival = matches.find(({ capability }) => capability !== best.capability);
    const held = Math.max(rival?.total ?? 0, MEANING.common * this.scale);
    const features = { strength: near.get(best.capability)?.strength ?? 0, lead: (best.total - held) / this.scale };
    return { matches, confidence: confidenceOf(features), features };
  }

  /** What meaning adds for the capabilities that are nearest; `strength`: how much of the message stands with them, or something like it. */
  private near(message: readonly Said[], scores: ReadonlyMap<number, number>, among?: RegisteredAgent) {
    const best = new Map<string, number>();
    for (const [id, score] of scores) {
      const { capability } = this.offers[id]!;
      if (score > (best.get(capability) ?? 0)) best.set(capability, score);
    }
    const heard = this.nearness.hear(message, (term) => this.weightOf(term));
    const asWhole = this.nearness.asWhole(heard);
    const nearest: { capability: string; likeness: number; sum: number }[] = [];
    for (const capability of among ? among.description.capabilities.map(({ name }) => name) : this.offering.keys()) {
      const likeness = asWhole(capability);
      const sum = (best.get(capability) ?? 0) + this.scale * likeness;
      const place = nearest.findIndex((one) => sum > one.sum);
      if (sum > 0 && (place >= 0 || nearest.length < MEANING.nearest)) {
        nearest.splice(place < 0 ? nearest.length : place, 0, { capability, likeness, sum });
        if (nearest.length > MEANING.nearest) nearest.pop();
      }
    }
    const near = new Map<string, { strength: number; meaning: number }>();
    for (const { capability, likeness } of nearest) {
      const strength = this.nearness.byWord(heard, capability);
      const meaning = Math.max(0, likeness + MEANING.byWord * strength);
      if (best.has(capability) || meaning >= MEANING.least) near.set(capability, { strength, meaning: rounded(this.scale * meaning) });
    }
    return near;
  }

  /** BM25+ of each offer that has a word of the message. */
  private scores(message: readonly Said[], among?: RegisteredAgent): Map<number, number> {
    if (message.length === 0) return new Map();
    const filter = among && (({ id }: { id: number }) => this.agents[this.offers[id]!.at] === among);
    const hits = this.index.search(message.map(({ term }) => term).join(' '), filter ? { filter } : {});
    return new Map(hits.map(({ id, score }) => [id as number, rounded(score)]));
  }

  private of(capability: string, among?: RegisteredAgent): number[] {
    const ids = this.offering.get(capability) ?? [];
    return among ? ids.filter((id) => this.agents[this.offers[id]!.at] === among) : ids;
  }

  /** How much a term tells, up to 1: those that stand everywhere little, those that stand nowhere as much as one that stands once. */
  private weightOf(term: string): number {
    return Math.log(1 + this.offering.size / (this.spread.get(term) ?? 1)) / Math.log(1 + this.offering.size);
  }
}

/** Each word once, where it counts most. */
function keep(words: Map<string, Spoken>, said: readonly Said[], boost: number): void {
  for (const { word, term } of said) if ((words.get(word)?.boost ?? 0) < boost) words.set(word, { word, term, boost });
}

const NOTHING: Ranking = { matches: [], confidence: 0, features: null };

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;

export interface Features {
  /** How much the message says that stands with the best match, word for word or nearly. */
  readonly strength: number;
  /** By how much the next capability is behind. */
  readonly lead: number;
}

/** A logistic curve over both, fitted by `bench/routing.mjs --fit` to the half of the labelled messages that is never reported. */
const CURVE = { base: -3.39, strength: 2.63, lead: 3.16 };

function confidenceOf({ strength, lead }: Features): number {
  const height = CURVE.base + CURVE.strength * strength + CURVE.lead * lead;
  return rounded(1 / (1 + Math.exp(-height)));
}

function textOf({ description: agent }: RegisteredAgent, offered: Offered): Record<Field, Said[]> {
  const properties = Object.keys(objectOf(offered.input_schema?.['properties']));
  return {
    name: saidBy(wordsOfName(offered.name)),
    tags: saidBy((offered.tags ?? []).flatMap(wordsOfName)),
    examples: saidBy(stringsIn(offered.examples ?? []).flatMap(wordsOf)),
    description: saidBy([...wordsOf(offered.description), ...properties.flatMap(wordsOfName)]),
    agent: saidBy([...wordsOfName(agent.name), ...wordsOf(agent.description)]),
  };
}

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
