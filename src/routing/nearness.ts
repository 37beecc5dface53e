/** How near a message is in meaning to what is offered: to each capability as a whole, and word by word to the few that matter. */
import { add, likeness, type Meanings, mostAlike, unit, type Vector } from './meanings.js';
import type { Said } from './words.js';

/** A word of a capability, and by how much it counts more where it stands. */
export interface Spoken extends Said {
  readonly boost: number;
}

/** A word of the message. */
interface Heard {
  readonly term: string;
  /** undefined: nobody knows what it means. */
  readonly vector: Vector | undefined;
  /** How much it tells, up to 1. */
  readonly tells: number;
}

interface Sense {
  readonly terms: ReadonlySet<string>;
  /** Vectors of its words, one after the other. */
  readonly words: Vector;
  /** Where its words point together. */
  readonly whole: Vector;
}

/** Words less alike than this have nothing to do with each other. */
const UNLIKE = 0.3;
/** Words of one capability that are compared one by one. */
const MOST_WORDS = 100;

export class Nearness {
  private readonly senses = new Map<string, Sense>();

  constructor(
    private readonly meanings: Meanings,
    /** Of each capability, by name, its words. */
    offered: ReadonlyMap<string, ReadonlyMap<string, Spoken>>,
  ) {
    for (const [capability, spoken] of offered) this.senses.set(capability, this.senseOf(spoken.values()));
  }

  private senseOf(spoken: Iterable<Spoken>): Sense {
    const all = [...spoken];
    const known = all.flatMap(({ word, boost }) => {
      const vector = this.meanings.of(word);
      return vector ? [{ vector, tells: boost * this.meanings.rarityOf(word) }] : [];
    });
    const { dimensions } = this.meanings;
    const compared = known.slice(0, MOST_WORDS);
    const words = new Float64Array(compared.length * dimensions);
    compared.forEach(({ vector }, i) => void words.set(vector, i * dimensions));
    return { terms: new Set(all.map(({ term }) => term)), words, whole: this.together(known) };
  }

  /** What each word of a message means; `weightOf`: how much a term tells among what is offered, up to 1. */
  hear(message: readonly Said[], weightOf: (term: string) => number): Heard[] {
    return message.map(({ word, term }) => {
      return { term, vector: this.meanings.of(word), tells: weightOf(term) * this.meanings.rarityOf(word) };
    });
  }

  /** How near each capability is to the message as one, up to 1. */
  asWhole(message: readonly Heard[]): (capability: string) => number {
    const whole = this.together(message);
    return (capability) => likeness(whole, this.senses.get(capability)!.whole);
  }

  /** How much of the message stands there, or something like it: each word by the one that is most like it. */
  byWord(message: readonly Heard[], capability: string): number {
    const { terms, words } = this.senses.get(capability)!;
    let sum = 0;
    for (const { term, vector, tells } of message) {
      const alike = terms.has(term) ? 1 : vector ? mostAlike(vector, words) : 0;
      if (alike > UNLIKE) sum += (tells * (alike - UNLIKE)) / (1 - UNLIKE);
    }
    return sum;
  }

  private together(words: readonly Pick<Heard, 'vector' | 'tells'>[]): Vector {
    const sum = new Float64Array(this.meanings.dimensions);
    for (const { vector, tells } of words) if (vector) add(sum, vector, tells);
    return unit(sum);
  }
}
