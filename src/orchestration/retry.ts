/**
 * When a task is tried again, when, and with whom. Whoever did not act may always be asked again; where nobody knows whether the agent acted,
 * only for what may be done twice. An honest "I cannot" is an answer, and is not asked for a second time.
 */
import type { Fault } from '../agents/agent-client.js';
import type { ContractErrorCode, Outcome } from '../contracts/contract.js';

/** How a call ended, and what that says about asking again. */
export type Ended = Outcome & { readonly fault?: Fault };

/** The agent's failures of which nobody knows whether it acted. `agent_failed` is one only if it broke down. */
const UNKNOWN: readonly (ContractErrorCode | undefined)[] = [
  'agent_unreachable',
  'agent_threw',
  'agent_invalid_response',
  'agent_invalid_output',
  'agent_response_too_large',
];

export type Safe = 'always' | 'if_idempotent' | 'never';

/** Whether the task may be tried again after this. A deadline leaves no time for it, a question to the caller is his to answer. */
export function safe({ code, fault }: Ended): Safe {
  if (code === 'agent_busy') return fault?.untouched ? 'always' : 'never'; // our own queue has had its time
  if (code === 'agent_failed') return fault?.broke ? 'if_idempotent' : 'never';
  if (!UNKNOWN.includes(code)) return 'never';
  return fault?.untouched ? 'always' : 'if_idempotent';
}

/**
 * What a call says about its agent: well, not well, or (null) nothing. Well is whoever answers, also if he cannot do it. What was called off, turned
 * away with 429, or given less than `patienceMs` says nothing; that a result breaks its schema concerns one capability, not the agent.
 */
export function speaksFor({ code, fault }: Ended, givenMs: number, patienceMs: number): boolean | null {
  switch (code) {
    case 'agent_unreachable':
    case 'agent_threw':
    case 'agent_invalid_response':
    case 'agent_response_too_large':
      return false;
    case 'agent_timeout':
      return givenMs < patienceMs ? null : false;
    case 'agent_failed':
      return !fault?.broke;
    case 'agent_busy':
      return fault?.broke ? false : null;
    case 'cancelled':
    case 'interrupted':
    case 'invalid_input':
    case 'no_agent':
    case 'breaker_open':
      return null;
    default:
      return true;
  }
}

const FIRST_PAUSE_MS = 100;
const MOST_PAUSE_MS = 5000;

/** What is known of an agent that has failed this task. */
export interface Tried {
  readonly failures: number;
  /** Milliseconds since 1970: it asked to be left alone until then. */
  readonly notBefore: number;
}

/**
 * Who is asked next of `candidates`, best first, and after which pause: whoever was not asked yet, at once; otherwise the one that may be asked
 * soonest, after a pause that grows with its failures and that chance (0 to 1) shortens, so that those who failed together do not come back
 * together. null: nobody in time.
 */
export function whoNext(
  candidates: readonly string[],
  tried: ReadonlyMap<string, Tried>,
  at: { readonly now: number; readonly deadline: number; readonly chance: number },
): { readonly agent: string; readonly pause_ms: number } | null {
  const fresh = candidates.find((agent) => !tried.has(agent));
  if (fresh !== undefined) return { agent: fresh, pause_ms: 0 };
  const waits = candidates.map((agent) => ({ agent, pause_ms: pauseOf(tried.get(agent)!, at) }));
  const soonest = waits.reduce((best, one) => (one.pause_ms < best.pause_ms ? one : best), waits[0]!);
  return soonest && at.now + soonest.pause_ms < at.deadline ? soonest : null;
}

function pauseOf({ failures, notBefore }: Tried, { now, chance }: { now: number; chance: number }): number {
  return Math.max(0, notBefore - now) + Math.round(chance * Math.min(MOST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1)));
}
