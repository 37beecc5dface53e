/**
 * Holds what goes to an agent and what comes from it to the capability's schemas, within a time. A regular expression that backtracks without
 * end, references that branch at every level, 100 000 items to be compared with each other: each would hold the one thread of the process.
 * So a check runs under a watchdog of the engine, which costs 0.2 ms, unless both the schema is plain and the value small.
 */
import { createContext, Script } from 'node:vm';
import type { JsonValue } from '../kernel/json.js';
import { compile, isSmall, type JsonSchema } from './json-schema.js';

const CHECK_MS = 1000;
const surroundings = createContext({ check: null });
const watched = new Script('check()');

/** What does not fit, in words, `at` before each JSON pointer; null if all does. Never throws. */
export function misfit(schema: JsonSchema | undefined, value: JsonValue, at: string): string | null {
  if (schema === undefined) return null;
  try {
    const { branches, misfits } = compile(schema);
    const found = branches || !isSmall(value) ? underWatch(() => misfits(value, at)) : misfits(value, at);
    return found.length === 0 ? null : found.join('; ').toWellFormed();
  } catch (error) {
    const late = (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    const why = error instanceof RangeError ? 'the schema refers to itself without end' : (error as Error).message;
    return `${at} cannot be checked against the schema: ${late ? `it takes longer than ${CHECK_MS} ms` : why}`;
  }
}

function underWatch<T>(check: () => T): T {
  surroundings['check'] = check;
  try {
    return watched.runInContext(surroundings, { timeout: CHECK_MS }) as T;
  } finally {
    surroundings['check'] = null;
  }
}
