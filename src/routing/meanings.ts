/** What English words mean, as far as vectors tell: words that people use alike point the same way. */

/** A word about as frequent as this counts half. */
const FREQUENT = 1e-3;
const EULER = 0.5772;

export type Vector = Float64Array;

export class Meanings {
  /** Row of each word; the most frequent word first. */
  private readonly rows = new Map<string, number>();
  private readonly harmonic: number;

  constructor(
    words: readonly string[],
    private readonly values: Int8Array,
    readonly dimensions: number,
  ) {
    words.forEach((word, row) => void this.rows.set(word, row));
    this.harmonic = Math.log(words.length) + EULER;
  }

  /** Of length 1; undefined: nothing is known of this word. */
  of(word: string): Vector | undefined {
    const row = this.rows.get(word);
    if (row === undefined) return undefined;
    const begin = row * this.dimensions;
    return unit(new Float64Array(this.values.subarray(begin, begin + this.dimensions)));
  }

  /** How much a word tells by being rare in English, up to 1: as often as Zipf's law has it for its place. */
  rarityOf(word: string): number {
    const row = this.rows.get(word);
    return row === undefined ? 1 : FREQUENT / (FREQUENT + 1 / ((row + 1) * this.harmonic));
  }
}

/** How long the words are, the words, and for each a vector of whole numbers. */
export function readMeanings(bytes: Uint8Array): Meanings {
  const begin = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const words = new TextDecoder().decode(bytes.subarray(4, begin)).split('\n');
  const values = new Int8Array(bytes.buffer, bytes.byteOffset + begin, bytes.length - begin);
  return new Meanings(words, values, values.length / words.length);
}

export function add(sum: Vector, vector: Vector, times: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]! * times;
}

/** Of vectors of length 1: how near they are in meaning, up to 1. */
export const likeness = (a: Vector, b: Vector): number => along(a, b, 0);

/** How near the nearest is among many, one after the other; at least 0. */
export function mostAlike(vector: Vector, many: Vector): number {
  let most = 0;
  for (let begin = 0; begin < many.length; begin += vector.length) {
    const alike = along(vector, many, begin);
    if (alike > most) most = alike;
  }
  return most;
}

/** Four sums side by side: nothing in the product waits for the one before. */
function along(vector: Vector, many: Vector, begin: number): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 3 < vector.length; i += 4) {
    a += vector[i]! * many[begin + i]!;
    b += vector[i + 1]! * many[begin + i + 1]!;
    c += vector[i + 2]! * many[begin + i + 2]!;
    d += vector[i + 3]! * many[begin + i + 3]!;
  }
  for (; i < vector.length; i++) a += vector[i]! * many[begin + i]!;
  return a + b + c + d;
}

export function unit(vector: Vector): Vector {
  const length = Math.sqrt(likeness(vector, vector));
  if (length > 0) for (let i = 0; i < vector.length; i++) vector[i]! /= length;
  return vector;
}
