/// <reference lib="es2024.string" />
import { OrchestratorError } from './errors.js';
import { type JsonValue, parseJson } from './json.js';

/** Far above what `parseJson` lets in, far below the stack: what is deeper refers to itself. */
const MAX_DEPTH = 512;

/** All but the characters that stand for themselves in a JSON string. */
const SPECIAL = /[^\x20-\x21\x23-\x5b\x5d-\ud7ff\ue000-\uffff]/;

/** The one text of a value: RFC 8785 (JCS). ECMAScript's own number and string forms are those of the RFC. */
export function canonicalJson(value: JsonValue): string {
  return write(value, 0);
}

export function isCanonical(text: string): boolean {
  try {
    return canonicalJson(parseJson(text) as JsonValue) === text;
  } catch (error) {
    if (error instanceof OrchestratorError && error.code === 'invalid_json') return false;
    throw error;
  }
}

function write(value: unknown, depth: number): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : refuse(`the number ${value}`);
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (value === null) return 'null';
  if (typeof value !== 'object') return refuse(`a value of type ${typeof value}`);
  if (depth === MAX_DEPTH) return refuse(`more than ${MAX_DEPTH} levels, or a value inside itself`);
  return Array.isArray(value) ? writeArray(value, depth + 1) : writeObject(value as Record<string, unknown>, depth + 1);
}

function writeArray(items: unknown[], depth: number): string {
  let text = '[';
  for (let i = 0; i < items.length; i++) text += (i === 0 ? '' : ',') + write(items[i], depth);
  return `${text}]`;
}

function writeObject(members: Record<string, unknown>, depth: number): string {
  const prototype = Object.getPrototypeOf(members);
  // The prototype of a plain object of any realm has no prototype itself.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return refuse('an object that is not plain');
  const keys = sorted(Object.keys(members));
  let text = '{';
  for (let i = 0; i < keys.length; i++) text += `${(i === 0 ? '' : ',') + quote(keys[i]!)}:${write(members[keys[i]!], depth)}`;
  return `${text}}`;
}

/** By UTF-16 code units, which is how ECMAScript compares strings. */
function sorted(keys: string[]): string[] {
  for (let i = 1; i < keys.length; i++) if (keys[i - 1]! > keys[i]!) return keys.sort();
  return keys;
}

function quote(text: string): string {
  if (!SPECIAL.test(text)) return `"${text}"`;
  return text.isWellFormed() ? JSON.stringify(text) : refuse('half of a surrogate pair');
}

function refuse(what: string): never {
  throw new OrchestratorError('internal', `A record cannot hold ${what}: pass it through toJsonValue or parseJson first.`);
}
