/** How a JSON object is written on a command line. */
import { OrchestratorError } from '../kernel/errors.js';
import { type JsonValue, parseJson } from '../kernel/json.js';

export type JsonObject = Record<string, JsonValue>;

/** The shortest name before the first `=`; a colon before it asks for JSON. */
const ASSIGNMENT = /^([^=]+?)(:?=)(.*)$/s;

/** `name=value` is text, `name:=value` any JSON; both come on top of `document`. */
export function readParameters(words: readonly string[], document: JsonObject = {}): JsonObject {
  const members = words.map(readWord);
  const names = members.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw wrong(`parameter ${JSON.stringify(twice)} is given twice`);
  return Object.fromEntries([...Object.entries(document), ...members]);
}

function readWord(word: string): [string, JsonValue] {
  const [, name, sign, value] = ASSIGNMENT.exec(word) ?? [];
  if (name === undefined || value === undefined) {
    throw wrong(`${JSON.stringify(word)} is no parameter: write name=value for text, name:=value for JSON`);
  }
  return [name, sign === '=' ? value : readJson(name, value)];
}

/** The JSON object in `text`; `where` names it in the refusal. */
export function readObject(where: string, text: string): JsonObject {
  const value = readJson(where, text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(`${where} must be a JSON object like {"text":"Hello"}`);
  return value;
}

function readJson(where: string, text: string): JsonValue {
  try {
    return parseJson(text) as JsonValue;
  } catch (error) {
    if (!(error instanceof OrchestratorError)) throw error;
    throw wrong(`${where}: ${error.message}${error.pointer ? ` (at ${error.pointer})` : ''}`);
  }
}

const wrong = (why: string) => new OrchestratorError('invalid_request', why);
