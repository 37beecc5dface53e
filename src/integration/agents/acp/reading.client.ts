/** How the answers of all dialects are taken up before one of them reads what they say. */
import type { z } from 'zod';
import { type JsonValue, parseJson, parseJsonBytes } from '../../../kernel/json.js';
import { rawOf } from '../answer.js';
import type { HttpAnswer } from '../exchange.client.js';
import { turnedAway } from '../fault.js';
import { encoded, type Failure, redirect } from '../http.client.js';

/** The JSON of a 2xx, or what was wrong with the answer. `wordsOf` finds the agent's own words in the body of an error. */
export function readJson(answer: HttpAnswer, wordsOf: (body: JsonValue) => string | null): { json: JsonValue } | Failure {
  const raw = () => rawOf(answer.bytes);
  const { status } = answer;
  const unreadable = redirect(answer) ?? encoded(answer);
  if (unreadable !== null) return invalid(unreadable, raw());
  if (status === 401)
    return { success: false, code: 'auth_required', message: 'the agent answered HTTP 401: it wants to know who calls', raw: raw() };
  const busy = turnedAway(status, answer.headers['retry-after'], Date.now());
  if (busy) return { success: false, ...busy, raw: raw() };
  const broke = status >= 500 && { fault: { broke: true } };
  let json: JsonValue;
  try {
    json = parseJsonBytes(answer.bytes) as JsonValue;
  } catch (error) {
    if (status >= 500) return { success: false, code: 'agent_failed', message: `the agent answered HTTP ${status}`, raw: raw(), ...broke };
    return invalid(status < 300 ? (error as Error).message : `the agent answered HTTP ${status}`, raw());
  }
  if (status >= 200 && status < 300) return { json };
  const words = wordsOf(json);
  if (words === null && status < 500) return invalid(`the agent answered HTTP ${status}`, json);
  const message = `the agent answered HTTP ${status}${words === null ? '' : `: ${words}`}`;
  return { success: false, code: 'agent_failed', message, raw: json, ...broke };
}

export const invalid = (message: string, raw?: JsonValue): Failure => ({
  success: false,
  code: 'agent_invalid_response',
  message,
  ...(raw !== undefined && { raw }),
});

/** What an event of a stream says: JSON, or the text that is none. */
export function eventData(data: string): JsonValue {
  try {
    return parseJson(data) as JsonValue;
  } catch {
    return data;
  }
}

/** The first thing that is wrong, in words. */
export const issueOf = ({ issues: [issue] }: z.ZodError) => [issue?.path.join('.'), issue?.message].filter(Boolean).join(': ');

/** Of an endpoint: the server, and the agent if it ends in /agents/{agent}. */
export function addressOf(url: string): { base: string; agent: string | null } {
  const { origin, pathname } = new URL(url);
  const [, base, agent] = /^(.*?)(?:\/agents(?:\/([^/]+))?)?\/*$/.exec(pathname)!;
  return { base: origin + base, agent: agent ?? null };
}
