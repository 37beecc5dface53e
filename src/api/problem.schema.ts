import { z } from 'zod';
import type { ErrorCode } from '../kernel/errors.js';

/** RFC 9457, with our `code`. */
export const Problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Never changes its meaning: switch on it'),
    detail: z.string().describe('What is wrong, with which value, and what to do'),
    pointer: z.string().optional().describe('JSON pointer to the place in the body'),
    errors: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .describe('One for each field that is wrong'),
  })
  .meta({
    id: 'Problem',
    description: 'Nothing was recorded, and this is why',
  });

export type Problem = z.output<typeof Problem>;

/** What the house says in such a case, for the documentation. */
export const EXAMPLE_DETAILS: Partial<Record<ErrorCode, string>> = {
  invalid_json: 'The key "capability" stands twice in one object: send it once.',
  invalid_request: 'session_id: Invalid input: expected string, received undefined',
  unauthorized: 'send a token: authorization: Bearer <JWT>',
  forbidden: 'this needs a token with the scope orchestrate; it has contracts:read',
  not_found: 'there is no session "first"',
  not_published: 'event 01M7Z0JAKBKK1K5SNPKR5JD0Y3 is recorded, and the next checkpoint will have it; try again',
  payload_too_large: 'the request body is larger than 1048576 bytes',
  unsupported_media_type: 'send the body as content-type: application/json',
  session_closed: 'session "first" is closed and takes no more work; use another session_id',
  session_busy: 'requests of this session are still open; wait for them, or close it with ?cancel=true',
  key_conflict: 'this Idempotency-Key was used with another body; use a new key for a new request',
  key_in_flight: 'the request with this Idempotency-Key is still running as contract 01M7Z0JAKBKK1K5SNPKR5JD0Y3',
  erased:
    'what was answered under this Idempotency-Key, as contract 01M7Z0JAKBKK1K5SNPKR5JD0Y3, has been erased; use a new key for a new request',
  legal_hold:
    'the legal hold 01M7Z0JAKBKK1K5SNPKR5JD0Y3 of 2026-11-21T15:32:25.367Z stands over this session; nothing was erased: release the hold first',
  integration_off: 'no Trace is connected: set TRACE_URL and start again',
  agent_conflict: 'the agent id "billing" belongs to somebody else; choose another agent_id',
  address_refused: 'metadata.internal is at 169.254.169.254, where no agent may be; AGENT_NETWORKS says which networks are allowed',
  agent_unreachable: 'http://127.0.0.1:9 cannot be reached: connect ECONNREFUSED 127.0.0.1:9',
  agent_not_understood: 'http://127.0.0.1:8000 answers /health but does not describe itself; register it with a full description',
  ledger_unavailable: 'the database does not answer: connect ECONNREFUSED 127.0.0.1:5432; try again',
  issuer_unavailable: 'the keys of https://login.example.com cannot be had: request timed out; nothing was recorded',
  integration_unavailable: 'Trace at http://localhost:8787: connect ECONNREFUSED 127.0.0.1:8787',
  llm_unavailable: 'the language model cannot be had: it answered HTTP 529 overloaded_error: Overloaded',
  overloaded: '100 tasks are under way, as many as this process takes; nothing was recorded, try again',
  shutting_down: 'the orchestrator is shutting down; nothing was recorded, try again',
};
