/// <reference lib="es2024.string" />
import { OrchestratorError } from './errors.js';
import { shorten } from './json-place.js';
import { Scanner } from './json-scanner.js';

export type JsonValue = null | boolean | number | string | JsonValue[] | { [key: string]: JsonValue };

interface JsonLimits {
  /** Levels of objects and arrays around a value; 64 unless told. */
  maxDepth?: number;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** JSON.parse for texts of others: refuses with `invalid_json` and a pointer whatever JSON.parse would lose or a record cannot hold. */
export function parseJson(text: string, limits: JsonLimits = {}): unknown {
  const lone = text.isWellFormed() ? -1 : text.search(/\p{Surrogate}/u);
  return parse(Buffer.from(text), text, limits, lone === -1 ? Number.POSITIVE_INFINITY : Buffer.byteLength(text.slice(0, lone)));
}

export function parseJsonBytes(bytes: Uint8Array, limits: JsonLimits = {}): unknown {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch (cause) {
    throw new OrchestratorError('invalid_json', 'The JSON text is not valid UTF-8: send it encoded as UTF-8.', { cause, pointer: '' });
  }
  return parse(bytes, text, limits, Number.POSITIVE_INFINITY);
}

/**
 * What a value of in-process JavaScript looks like as JSON, held to the rules of `parseJson`. `undefined` becomes null. Refused with
 * `payload_too_large` if the text has more than `maxBytes`.
 */
export function toJsonValue(value: unknown, maxBytes = Number.POSITIVE_INFINITY): JsonValue {
  if (value === undefined) return null;
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
    // JSON.stringify writes NaN and the infinities as null.
    if (text?.includes('null')) JSON.stringify(value, refuseNonFinite);
  } catch (cause) {
    if (cause instanceof OrchestratorError) throw cause;
    if (cause instanceof RangeError && cause.message === 'Invalid string length') throw tooLarge(maxBytes, cause); // V8's own bound
    const reason =
      cause instanceof RangeError ? 'it is nested too deep' : cause instanceof Error ? cause.message.split('\n', 1)[0] : 'it throws';
    throw new OrchestratorError('invalid_json', `The value cannot be written as JSON (${shorten(reason ?? '')}): return plain data.`, {
      cause,
    });
  }
  if (text === undefined) throw new OrchestratorError('invalid_json', `A ${typeof value} cannot be written as JSON: return plain data.`);
  if (text.length > maxBytes || Buffer.byteLength(text) > maxBytes) throw tooLarge(maxBytes);
  return parseJson(text) as JsonValue;
}

function tooLarge(maxBytes: number, cause?: unknown): OrchestratorError {
  const most = Number.isFinite(maxBytes) ? `${maxBytes} bytes` : 'a text can hold';
  return new OrchestratorError('payload_too_large', `The value is more than ${most} as JSON: return less.`, { cause });
}

function refuseNonFinite(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isFinite(value)) return value;
  throw new OrchestratorError('invalid_json', `The number ${value} cannot be written as JSON: return null or a string.`);
}

function parse(bytes: Uint8Array, text: string, { maxDepth = 64 }: JsonLimits, loneAt: number): unknown {
  const scanner = new Scanner(bytes, maxDepth, loneAt);
  scanner.run(false);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The scanner passes over long strings without looking for control characters.
  }
  // JSON.parse keeps one of two equal keys: only when members are missing are names worth comparing.
  if (value !== undefined && countMembers(value) === scanner.members) return value;
  new Scanner(bytes, maxDepth, loneAt).run(true);
  throw new OrchestratorError('invalid_json', 'The JSON text cannot be read: correct it and send it again.', { pointer: '' });
}

function countMembers(root: unknown): number {
  let count = 0;
  const waiting = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (Array.isArray(value)) {
      for (const item of value) if (typeof item === 'object' && item !== null) waiting.push(item);
    } else if (typeof value === 'object' && value !== null) {
      const members = value as Record<string, unknown>;
      const keys = Object.keys(members);
      count += keys.length;
      for (const key of keys) {
        const item = members[key];
        if (typeof item === 'object' && item !== null) waiting.push(item);
      }
    }
  }
  return count;
}
