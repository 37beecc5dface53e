/**
 * What an answer of Trace means for the event that was sent. The question is always whose fault it is:
 *
 * | answer                                              | meaning                                                                 |
 * | --------------------------------------------------- | ----------------------------------------------------------------------- |
 * | 2xx, {status:"ok"}                                  | taken                                                                   |
 * | 2xx, anything else                                  | not Trace who answers there: trouble                                    |
 * | 3xx                                                 | never followed, the record goes where the operator said: trouble        |
 * | 401 402 403 407 511                                 | Trace lets nobody in, whatever the event: trouble                       |
 * | 408 421 425 429, 5xx but 501 and 505                | passing: trouble, Retry-After is honoured                               |
 * | 400 404 409 410 413 414 422 …, 501, 505             | the event can never be taken: refused, if GET /v1/health says Trace is well |
 * | no connection, cut off, too slow, too large         | trouble                                                                 |
 *
 * Trouble holds everything back, unless other events are taken meanwhile. A refusal parks the session after so many tries. 409 is no way to
 * say "I have that already": whoever dedupes answers 200.
 */
import { z } from 'zod';
import { NOBODY_ENTERS, refuses } from '../peer-status.js';
import { retryAfterMs } from '../retry-after.js';

export type Verdict = { readonly taken: true } | Refused | Trouble;

export interface Refused {
  readonly refused: string;
  readonly status: number;
}

export interface Trouble {
  readonly trouble: string;
  /** Milliseconds that Trace asked to wait. */
  readonly wait: number;
}

/** Without the body, which may quote what we sent: errors are kept where no payload may stand. */
export interface HttpAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: string;
}

const Ok = z.looseObject({ status: z.literal('ok') });
const Health = z.looseObject({ status: z.string() });

export const trouble = (what: string, wait = 0): Trouble => ({ trouble: what, wait });

export function verdictOf(answer: HttpAnswer, now: number): Verdict {
  const { status } = answer;
  const wait = retryAfterMs(answer.retryAfter, now);
  if (status >= 200 && status < 300) return fits(Ok, answer) ? { taken: true } : notTrace(status);
  if (status >= 300 && status < 400)
    return trouble(`HTTP ${status}: redirects are not followed; set TRACE_URL to where it leads, if that is right`);
  if (NOBODY_ENTERS.includes(status)) return trouble(`HTTP ${status}: it lets us not in`, wait);
  return refuses(status) ? { refused: `HTTP ${status}`, status } : trouble(`HTTP ${status}`, wait);
}

/** Of GET /v1/health: only something that answers like Trace may refuse events. */
export function healthOf(answer: HttpAnswer, now: number): { taken: true } | Trouble {
  if (answer.status === 200 && fits(Health, answer)) return { taken: true };
  if (answer.status < 300 || answer.status === 404 || answer.status === 405) return notTrace(answer.status);
  return trouble(`HTTP ${answer.status} from /v1/health`, retryAfterMs(answer.retryAfter, now));
}

const notTrace = (status: number) => trouble(`HTTP ${status}, but not as Trace answers: is TRACE_URL right?`);

const fits = (schema: z.ZodType, { body }: HttpAnswer) => schema.safeParse(jsonOf(body)).success;

export function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
