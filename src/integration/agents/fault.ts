/**
 * What a failure over HTTP says to whoever may ask again. Certain not to have acted is only who was never reached, or says so itself with
 * 429 or 503; of everything else nobody knows how far it came.
 */
import type { Answer, Fault } from '../../agents/agent-client.js';
import { retryAfterMs } from '../retry-after.js';

type Failure = Extract<Answer, { success: false }>;

/** Of the steps before the first byte of a request; the last is ours, of a token that cannot be had. */
const CONNECTING = ['connect', 'getaddrinfo', 'authorization'];
const NOT_CONNECTED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'];
const MOST_CAUSES = 5;

/** Whether a request broke before anything of it was sent. */
export function neverSent(error: unknown): boolean {
  let at = error;
  for (let depth = 0; typeof at === 'object' && at !== null && depth < MOST_CAUSES; depth++) {
    const { code, syscall, errors, cause } = at as { code?: string; syscall?: string; errors?: unknown[]; cause?: unknown };
    if (CONNECTING.includes(syscall ?? '') || NOT_CONNECTED.includes(code ?? '')) return true;
    if (errors?.length && errors.every(neverSent)) return true; // one for each address of the name
    at = cause;
  }
  return false;
}

/** Of an answer that says "not now": 429, and 503, which also counts against the agent. null: it says something else. */
export function turnedAway(status: number, retryAfter: unknown, now: number): Pick<Failure, 'code' | 'message' | 'fault'> | null {
  if (status !== 429 && status !== 503) return null;
  const after_ms = retryAfterMs(retryAfter, now);
  const fault: Fault = { untouched: true, ...(after_ms > 0 && { after_ms }), ...(status === 503 && { broke: true }) };
  return { code: 'agent_busy', message: `the agent answered HTTP ${status}: it takes no more for now`, fault };
}

/** The same failure of a call that had reached the agent before. */
export function touched<A extends Answer>(answer: A): A {
  if (answer.success || !answer.fault?.untouched) return answer;
  return { ...answer, fault: { ...answer.fault, untouched: false } };
}
