import { z } from 'zod';
import type { JsonValue } from '../kernel/json.js';

/** Any well-formed text of 1 to 128 characters without control characters. */
export const SessionId = z
  .string()
  .min(1)
  .max(128)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must not contain control characters');

/** Passed on as it came; parseJson has looked at every byte of it. */
const JsonObject = z.custom<Record<string, JsonValue>>(
  (v) => typeof v === 'object' && v !== null && !Array.isArray(v),
  'must be a JSON object',
);

export const OrchestrateBody = z
  .strictObject({
    session_id: SessionId,
    capability: z.string().min(1).max(256).optional(),
    agent_id: z.string().min(1).max(64).optional(),
    parameters: JsonObject.optional(),
    context: JsonObject.optional(),
    intent: z.string().max(4000).optional(),
    timeout_seconds: z.number().positive().max(600).optional(),
  })
  .refine((body) => body.capability !== undefined || body.agent_id !== undefined, {
    error: 'name a capability or an agent_id',
    path: ['capability'],
  });

export const IdempotencyKey = z.string().min(1).max(255).optional();

export const ContractsQuery = z.strictObject({
  session_id: SessionId.optional(),
  from_agent: z.string().max(64).optional(),
  to_agent: z.string().max(64).optional(),
  capability: z.string().max(256).optional(),
  status: z.enum(['pending', 'completed', 'failed', 'cancelled']).optional(),
  type: z.enum(['REQUEST', 'RESPONSE']).optional(),
  since: z.iso.datetime({ offset: true }).transform(utc).optional(),
  until: z.iso.datetime({ offset: true }).transform(utc).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(64).optional(),
});

/** As the record writes times, so that they compare as text. */
function utc(time: string): string {
  return new Date(time).toISOString();
}

export const ContractId = z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/, 'must be a ULID: 26 characters');

export const CloseQuery = z.strictObject({ cancel: z.enum(['true', 'false']).default('false') });
