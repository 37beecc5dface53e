/**
 * `{"$from": "step1.result.text"}` in the parameters of a step stands for a value of an earlier one. The text is a step's name and the members
 * that lead to the value; written with slashes it is a JSON Pointer (RFC 6901), for members that have a dot in their names. Either way a
 * member that is not there is an error, never null.
 */
import type { JsonValue } from '../kernel/json.js';

const FROM = '$from';

interface Found {
  /** Where it stands, as a JSON Pointer. */
  readonly where: string;
  /** undefined: `problem` says why it is none. */
  readonly tokens: readonly string[] | undefined;
  readonly problem: string;
}

/** Every pointer in a value, well-formed or not. */
export function pointersIn(value: JsonValue, where = ''): Found[] {
  if (typeof value !== 'object' || value === null) return [];
  if (!Array.isArray(value) && Object.hasOwn(value, FROM)) return [{ where: `${where}/${FROM}`, ...read(value) }];
  const members = Array.isArray(value) ? value.map((item, i) => [String(i), item] as const) : Object.entries(value);
  return members.flatMap(([key, item]) => pointersIn(item, `${where}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`));
}

function read(holder: Record<string, JsonValue>): { tokens: string[] | undefined; problem: string } {
  const text = holder[FROM];
  if (Object.keys(holder).length > 1)
    return { tokens: undefined, problem: `"${FROM}" stands for the whole value: no other member beside it` };
  if (typeof text !== 'string') return { tokens: undefined, problem: 'must be text such as "step1.result.text"' };
  const tokens = tokensOf(text);
  return { tokens, problem: `"${text}" is no pointer: write a step's name and members, as "step1.result.text" or "/step1/result/text"` };
}

/** The step's name and the members below it; undefined for what is no pointer. */
export function tokensOf(text: string): string[] | undefined {
  if (!text.startsWith('/')) return text.split('.').some((token) => token === '') ? undefined : text.split('.');
  if (/~(?![01])/.test(text)) return undefined;
  const tokens = text.slice(1).split('/');
  return tokens[0] === '' ? undefined : tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** As RFC 6901 has it: own members of objects, items of arrays by plain numbers. undefined: it is not there. */
export function valueAt(value: JsonValue, tokens: readonly string[]): JsonValue | undefined {
  let at: JsonValue | undefined = value;
  for (const token of tokens) {
    if (typeof at !== 'object' || at === null) return undefined;
    if (Array.isArray(at)) at = /^(0|[1-9]\d*)$/.test(token) ? at[Number(token)] : undefined;
    else at = Object.hasOwn(at, token) ? at[token] : undefined;
  }
  return at;
}

/** Levels, and bytes of what is pointed at together: what a caller could have sent himself. */
const MAX_DEPTH = 64;
const MAX_BYTES = 1024 * 1024;

type Parameters = Record<string, JsonValue>;

/** The parameters with every pointer replaced by what it points at in `scope`, or in words why that cannot be. */
export function filled(parameters: Parameters, scope: Parameters): { parameters: Parameters } | { problem: string } {
  const filling = new Filling(scope);
  const whole = filling.fill(parameters, 1);
  if (filling.problem !== null) return { problem: filling.problem };
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole))
    return { problem: `"${String(parameters[FROM])}" is no object, and parameters must be one` };
  return { parameters: whole };
}

class Filling {
  problem: string | null = null;
  private room = MAX_BYTES;
  private readonly sizes = new Map<string, { bytes: number; depth: number }>();

  constructor(private readonly scope: Parameters) {}

  fill(value: JsonValue, level: number): JsonValue {
    if (typeof value !== 'object' || value === null || this.problem !== null) return value;
    if (Array.isArray(value)) return value.map((item) => this.fill(item, level + 1));
    if (Object.hasOwn(value, FROM)) return this.pointed(String(value[FROM]), level);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.fill(item, level + 1)]));
  }

  private pointed(text: string, level: number): JsonValue {
    const found = valueAt(this.scope, tokensOf(text) ?? []);
    if (found === undefined) return this.fail(`it points at "${text}", and there is no such value`);
    const size = this.sizes.get(text) ?? { bytes: Buffer.byteLength(JSON.stringify(found)), depth: depthOf(found) };
    this.sizes.set(text, size);
    this.room -= size.bytes;
    if (this.room < 0) return this.fail(`what it points at is together more than ${MAX_BYTES} bytes`);
    return level - 1 + size.depth > MAX_DEPTH ? this.fail(`with "${text}" it is nested more than ${MAX_DEPTH} levels deep`) : found;
  }

  private fail(problem: string): null {
    this.problem = problem;
    return null;
  }
}

/** Levels of objects and arrays. */
function depthOf(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 0;
  let deepest = 0;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item));
  return deepest + 1;
}
