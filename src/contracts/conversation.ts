/**
 * What goes on in a session: where the conversation with an agent stands, and what was done before. Pure; history.postgres.ts reads it from
 * the ledger.
 */
import type { JsonValue } from '../kernel/json.js';
import type { ContractErrorCode } from './contract.js';

/** A RESPONSE whose `continuation` the next call to its agent gets. */
export interface Standing {
  readonly response: string;
  readonly continuation: JsonValue;
  /** The agent waits for what it asked for: the next REQUEST has this RESPONSE as its cause. */
  readonly waits: boolean;
}

/** One RESPONSE of an agent, as far as it matters here. */
export interface Turn {
  readonly response: string;
  readonly code: string | null;
  readonly continuation: JsonValue | undefined;
}

/** Ends of a call in which the agent was not heard, or not to the end: they leave the conversation where it stood. */
const UNHEARD: readonly string[] = [
  'invalid_input',
  'agent_busy',
  'agent_threw',
  'agent_timeout',
  'agent_unreachable',
  'breaker_open',
  'cancelled',
  'interrupted',
] satisfies ContractErrorCode[];

/**
 * Where the conversation stands after these RESPONSEs of one agent, newest first. The newest that left a continuation, unless the agent has
 * answered since and left none (null): then it has ended the conversation, and to go on from what it has put away would fail for ever.
 * undefined: these tell nothing.
 */
export function standing(turns: readonly Turn[]): Standing | null | undefined {
  for (const { response, code, continuation } of turns) {
    if (continuation !== undefined) return { response, continuation, waits: code === 'input_required' || code === 'auth_required' };
    if (code === null || !UNHEARD.includes(code)) return null;
  }
  return undefined;
}

/** An earlier contract as an agent gets it. */
export interface PastContract {
  /** Of the REQUEST. */
  readonly contract_id: string;
  readonly agent_id: string | null;
  readonly capability: string | null;
  readonly parameters: JsonValue;
  readonly result: JsonValue;
  readonly text: string | null;
  readonly error: string | null;
  readonly error_code: string | null;
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly created_at: string;
}

/** Those that fit into `maxBytes` together, in their order: one that does not fit is left out, and smaller ones behind it may stay. */
export function fitting<T>(items: readonly T[], sizeOf: (item: T) => number, maxBytes: number): T[] {
  let left = maxBytes;
  return items.filter((item) => {
    const size = sizeOf(item);
    if (size > left) return false;
    left -= size;
    return true;
  });
}
