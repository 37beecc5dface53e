/** How a contract ended then and how the same request ended now. Pure. */
import diff from 'microdiff';
import { canonicalJson } from '../kernel/canonical.js';
import type { JsonValue } from '../kernel/json.js';

export interface Ending {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error_code: string | null;
  readonly result: JsonValue;
  readonly text: string | null;
  readonly files: JsonValue;
}

export interface Change {
  /** RFC 6901 pointer into `{status, error_code, result, text, files}`. */
  readonly path: string;
  /** Absent where there was, or is, nothing. */
  readonly was?: JsonValue;
  readonly is?: JsonValue;
}

export interface Comparison {
  /** `identical`: the same canonical bytes. `failed`: it completed then and did not now. */
  readonly outcome: 'identical' | 'equivalent' | 'changed' | 'failed';
  /** The comparator that found them equivalent. */
  readonly by: string | null;
  readonly changes: readonly Change[];
  /** Changes that are not listed. */
  readonly more: number;
}

/** Each brings an answer into a form in which answers that count as the same are the same. */
const FORMS = {
  /** The same words: capitals, blanks and Unicode forms do not count. */
  text: (value: JsonValue): JsonValue =>
    everywhere(value, (one) => (typeof one === 'string' ? one.normalize('NFKC').toLowerCase().trim().split(/\s+/u).join(' ') : one)),
  /** The same numbers to six digits. */
  numbers: (value: JsonValue): JsonValue => everywhere(value, (one) => (typeof one === 'number' ? Number(one.toPrecision(6)) : one)),
  /** The same items of lists, in any order. */
  unordered: (value: JsonValue): JsonValue => everywhere(value, (one) => (Array.isArray(one) ? sorted(one) : one)),
  /** The same members of the same types, whatever they say. */
  shape: (value: JsonValue): JsonValue => everywhere(value, shapeOf),
} as const;

/** `exact`: nothing but identical answers are equivalent. `schema`: both fit the output schema the capability has today. */
export const COMPARATORS = ['exact', 'schema', ...(Object.keys(FORMS) as (keyof typeof FORMS)[])] as const;
export type Comparator = (typeof COMPARATORS)[number];

const MOST_CHANGES = 20;

/** `fits`: whether a result fits today's output schema; null: there is none. */
export function compare(then: Ending, now: Ending, comparator: Comparator, fits: ((result: JsonValue) => boolean) | null): Comparison {
  const [before, after] = [comparable(then), comparable(now)];
  if (canonicalJson(before) === canonicalJson(after)) return { outcome: 'identical', by: null, changes: [], more: 0 };
  const all = changesOf(before, after);
  const found = { changes: all.slice(0, MOST_CHANGES), more: Math.max(0, all.length - MOST_CHANGES) };
  if (then.status === 'completed' && now.status !== 'completed') return { outcome: 'failed', by: null, ...found };
  if (then.status === now.status && then.error_code === now.error_code && same(then, now, comparator, fits))
    return { outcome: 'equivalent', by: comparator, ...found };
  return { outcome: 'changed', by: null, ...found };
}

function same(then: Ending, now: Ending, comparator: Comparator, fits: ((result: JsonValue) => boolean) | null): boolean {
  if (comparator === 'exact') return false;
  if (comparator === 'schema') return then.status === 'completed' && fits !== null && fits(then.result) && fits(now.result);
  const form = FORMS[comparator];
  return canonicalJson(form(comparable(then))) === canonicalJson(form(comparable(now)));
}

type Value = { [member: string]: JsonValue };

/** What is compared: the words of an error may name times and places, its code is what counts. */
const comparable = ({ status, error_code, result, text, files }: Ending): Value => ({ status, error_code, result, text, files });

function changesOf(before: Value, after: Value): Change[] {
  return diff(before, after).map((one) => ({
    path: one.path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join(''),
    ...('oldValue' in one && { was: one.oldValue as JsonValue }),
    ...('value' in one && { is: one.value as JsonValue }),
  }));
}

/** From the inside out. */
function everywhere(value: JsonValue, form: (value: JsonValue) => JsonValue): JsonValue {
  if (Array.isArray(value)) return form(value.map((item) => everywhere(item, form)));
  if (typeof value !== 'object' || value === null) return form(value);
  return form(Object.fromEntries(Object.entries(value).map(([name, item]) => [name, everywhere(item, form)])));
}

const sorted = (items: JsonValue[]): JsonValue[] =>
  items
    .map((item) => ({ item, text: canonicalJson(item) }))
    .sort(byText)
    .map(({ item }) => item);

const byText = (a: { text: string }, b: { text: string }) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0);

function shapeOf(value: JsonValue): JsonValue {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return 0;
  if (typeof value === 'boolean') return true;
  if (!Array.isArray(value)) return value;
  return sorted(value).filter((item, i, all) => i === 0 || canonicalJson(item) !== canonicalJson(all[i - 1]!));
}
