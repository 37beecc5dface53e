/**
 * The JSON Schemas of capabilities: 2020-12, or what `$schema` names of 2019-09 and draft-07. Each is compiled by an Ajv of its own: the
 * `$id`s of two agents never meet, a `$ref` reaches nothing outside its schema, and nothing is ever fetched. Keywords and formats that
 * nobody knows are passed over, as the standard has it.
 */
import { hash } from 'node:crypto';
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { LRUCache } from 'lru-cache';
import type { JsonValue } from '../kernel/json.js';

export type JsonSchema = { readonly [keyword: string]: JsonValue };

export interface Compiled {
  /** Even a small value may take for ever: a regular expression may backtrack, references may branch at every level. */
  readonly branches: boolean;
  /** Where and how the value breaks the schema, in words that begin with `at` and a JSON pointer; empty if it fits. */
  misfits(value: JsonValue, at: string): string[];
}

/** Compiling takes time by the square of the size; this much takes about a second. */
const MAX_BYTES = 64 * 1024;
/** Of the squares of the sizes of all schemas of one description: however many there are, they take about two seconds. */
const MOST_TOGETHER = 2 * MAX_BYTES ** 2;
const BRANCHES = /"(?:pattern|patternProperties|\$ref|\$dynamicRef|\$recursiveRef)":/;
const SMALL = { parts: 1000, characters: 10_000 };
const MOST_TOLD = 10;
const MOST_CHARACTERS = 200;

const DIALECTS = {
  'draft/2020-12': Ajv2020,
  'draft/2019-09': Ajv2019,
  'draft-07': Ajv,
};
type Dialect = keyof typeof DIALECTS;

const OPTIONS: Options = {
  strict: false,
  logger: false,
  validateSchema: false, // `brokenRule` does it, with one Ajv per dialect: to compile the rules of a dialect costs more than most schemas
  inlineRefs: false, // or a hundred references to one definition would be a hundred copies of its code
  ownProperties: true, // or every object would have the property "constructor"
  multipleOfPrecision: 9, // or 19.99 would be no multiple of 0.01
  formats: fullFormats,
};

const compiled = new LRUCache<JsonSchema, Compiled>({ max: 1000 });
/** Why not, or null, by the hash of its text: discovery meets the same schemas again and again, each time as new objects. */
const verdicts = new LRUCache<string, { readonly why: string | null }>({ max: 50_000 });
const rules = new Map<Dialect, ValidateFunction>();

/** Throws an Error that says why if no value could ever be held to the schema. Once per object: a description never changes its schemas. */
export function compile(schema: JsonSchema): Compiled {
  const known = compiled.get(schema);
  if (known) return known;
  const text = JSON.stringify(schema);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_BYTES) throw new Error(`it has ${bytes} bytes, at most ${MAX_BYTES} are allowed`);
  if ('$async' in schema) throw new Error('"$async" is not supported, leave it out');
  const dialect = dialectOf(schema['$schema']);
  const broken = brokenRule(schema, dialect);
  if (broken) throw new Error(`it is no JSON Schema of ${dialect}: ${broken}`);
  const first = validator(schema, dialect, false);
  let all: ValidateFunction | undefined;
  const made: Compiled = {
    branches: BRANCHES.test(text),
    misfits(value, at) {
      if (first(value)) return [];
      if (!isSmall(value)) return told(first, at, ' (and perhaps more)'); // the list of all errors may be larger than the value
      all ??= validator(schema, dialect, true);
      all(value);
      return told(all, at, '');
    },
  };
  compiled.set(schema, made);
  return made;
}

/** Judges the schemas of one description, one after the other: throws as `compile` does, and for those that are too much together. */
export function judge(): (schema: JsonSchema) => void {
  let together = 0;
  return (schema) => {
    const text = JSON.stringify(schema);
    together += Math.min(MAX_BYTES, text.length) ** 2;
    if (together > MOST_TOGETHER) throw new Error('with the schemas before it there is too much to compile: make them smaller');
    mustCompile(schema, text);
  };
}

/** What was met before is not compiled again. */
function mustCompile(schema: JsonSchema, text: string): void {
  const key = hash('sha256', text, 'base64');
  let verdict = verdicts.get(key);
  if (!verdict) {
    verdict = { why: null };
    try {
      compile(schema);
    } catch (error) {
      verdict = { why: (error as Error).message };
    }
    verdicts.set(key, verdict);
  }
  if (verdict.why !== null) throw new Error(verdict.why);
}

function dialectOf(named: JsonValue | undefined): Dialect {
  if (named === undefined) return 'draft/2020-12';
  const [, dialect] = (typeof named === 'string' && /^https?:\/\/json-schema\.org\/(.+)\/schema#?$/.exec(named)) || [];
  if (dialect !== undefined && Object.hasOwn(DIALECTS, dialect)) return dialect as Dialect;
  throw new Error(
    `its $schema ${cut(JSON.stringify(named))} is not supported, only ${Object.keys(DIALECTS).join(', ')} of json-schema.org`,
  );
}

function brokenRule(schema: JsonSchema, dialect: Dialect): string | null {
  let rule = rules.get(dialect);
  if (!rule) {
    rule = new DIALECTS[dialect](OPTIONS).getSchema(`${dialect === 'draft-07' ? 'http' : 'https'}://json-schema.org/${dialect}/schema`)!;
    rules.set(dialect, rule);
  }
  return rule(schema) ? null : told(rule, '', '').join('; ');
}

function validator(schema: JsonSchema, dialect: Dialect, allErrors: boolean): ValidateFunction {
  const ajv = new DIALECTS[dialect]({ ...OPTIONS, allErrors });
  ajv.removeKeyword('id'); // Ajv refuses this word of older drafts; here it is one nobody knows
  try {
    return ajv.compile(schema);
  } catch (error) {
    if (error instanceof RangeError) throw new Error('it is nested too far or refers to itself without end');
    const { missingRef } = error as { missingRef?: string };
    if (missingRef === undefined) throw error;
    throw new Error(`its $ref ${JSON.stringify(missingRef)} leads nowhere; nothing is ever fetched: put the definition under $defs`);
  }
}

/** Small enough that no format, no comparing of all items with each other takes long. */
export function isSmall(root: JsonValue): boolean {
  let { parts, characters } = SMALL;
  const waiting = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value === 'string') characters -= value.length;
    if (typeof value === 'object' && value !== null) {
      const inner = Object.values(value);
      parts -= inner.length;
      if (!Array.isArray(value)) for (const name in value) characters -= name.length;
      if (parts >= 0) waiting.push(...inner);
    }
    if (parts < 0 || characters < 0) return false;
  }
  return true;
}

function told(broken: ValidateFunction, at: string, more: string): string[] {
  const all = (broken.errors ?? []).map((error) => `${cut(at + error.instancePath) || 'the schema'} ${cut(inWords(error))}${more}`);
  broken.errors = null; // no cache keeps the words of a caller
  const distinct = [...new Set(all)];
  return distinct.length > MOST_TOLD ? [...distinct.slice(0, MOST_TOLD), `and ${distinct.length - MOST_TOLD} more`] : distinct;
}

function inWords({ keyword, params, message }: ErrorObject): string {
  const { additionalProperty, unevaluatedProperty, propertyName, allowedValues, allowedValue } = params as Record<string, unknown>;
  const extra = additionalProperty ?? unevaluatedProperty;
  if (extra !== undefined) return `must NOT have the property ${JSON.stringify(extra)}`;
  if (keyword === 'propertyNames') return `must NOT have the property name ${JSON.stringify(propertyName)}`;
  if (Array.isArray(allowedValues)) return `must be one of ${allowedValues.map((value) => JSON.stringify(value)).join(', ')}`;
  if (keyword === 'const') return `must be ${JSON.stringify(allowedValue)}`;
  return message ?? `breaks "${keyword}"`;
}

const cut = (text: string): string => (text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS)}…`);
