import { z } from 'zod';
import type { Answer } from '../../agents/agent-client.js';
import type { JsonValue } from '../../kernel/json.js';

/** Of an answer as JSON text, wherever the agent is. Recorded it may be a few times as long, which the ledger holds. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Any JSON that has been through parseJson: nobody looks into it twice. */
export const Json = z.custom<JsonValue>((value) => value !== undefined);

const AgentAnswerSchema = z.discriminatedUnion('success', [
  z.object({ success: z.literal(true), data: z.custom<JsonValue>().optional() }),
  z.object({ success: z.literal(false), error: z.string().optional(), data: z.custom<JsonValue>().optional() }),
]);

/** The `{success, data?, error?}` of in-process and plain HTTP agents. */
export function readAnswer(value: JsonValue): Answer {
  const parsed = AgentAnswerSchema.safeParse(value);
  if (!parsed.success) {
    const what = parsed.error.issues.map((i) => `${i.path.join('.') || 'the answer'}: ${i.message}`).join('; ');
    return { success: false, code: 'agent_invalid_response', message: `expected {success, data?, error?}, but ${what}`, raw: { value } };
  }
  const answer = parsed.data;
  if (answer.success) return { success: true, data: answer.data ?? null };
  const message = answer.error ?? 'the agent gave no reason';
  return { success: false, code: 'agent_failed', message, ...(answer.data !== undefined && { data: answer.data }) };
}

/** The answer byte for byte: as text where it is UTF-8, otherwise as base64. */
export function rawOf(bytes: Buffer): JsonValue {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes)
    ? { encoding: 'utf-8', data: text }
    : { encoding: 'base64', data: bytes.toString('base64') };
}
