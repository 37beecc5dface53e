/**
 * Holds what goes to an agent and what comes from it to the capability's schemas, within a time. A regular expression that backtracks
 * without end, references that branch at every level, `uniqueItems` over a long list: each would hold the one thread of the process, so a
 * schema that has such words is checked under a watchdog of the engine, which costs about 0.1 ms a check. Not guarded is a schema that makes
 * work without them: at most its own size times that of the value.
 */
import { createContext, Script } from 'node:vm';
import type { JsonValue } from '../kernel/json.js';
import { compile, type JsonSchema } from './json-schema.js';

const CHECK_MS = 1000;
const surroundings = createContext({ check: null });
const watched = new Script('check()');

/** What does not fit, in words, `at` before each JSON pointer; null if all does. Never throws. */
export function misfit(schema: JsonSchema | undefined, value: JsonValue, at: string): string | null {
  if (schema === undefined) return null;
  try {
    const { costly, misfits } = compile(schema);
    const found = costly ? underWatch(() => misfits(value, at)) : misfits(value, at);
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
