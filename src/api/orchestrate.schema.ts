import { z } from 'zod';
import { ERROR_CODES } from '../contracts/contract.js';
import type { JsonValue } from '../kernel/json.js';
import { Problem } from './problem.schema.js';
import { FileReference, Json, Receipt, SessionId, Time, Ulid } from './words.schema.js';

/** Passed on as it came; parseJson has looked at every byte of it. */
const JsonObject = z
  .custom<Record<string, JsonValue>>((v) => typeof v === 'object' && v !== null && !Array.isArray(v), 'must be a JSON object')
  .meta({ type: 'object' });

export const OrchestrateBody = z
  .strictObject({
    session_id: SessionId,
    capability: z.string().min(1).max(256).optional().describe('What is to be done; any agent that offers it may do it'),
    agent_id: z.string().min(1).max(64).optional().describe('Who is to do it; `capability` may be left out if the agent has only one'),
    parameters: JsonObject.optional().meta({ description: 'What the agent gets; {} unless given' }),
    context: JsonObject.optional().meta({
      description:
        'What else the agent should know; {} unless given. With `history: n` (a number from 0 to 50) the agent gets in its place the latest n contracts of the ' +
        'session that have ended, newest first',
    }),
    intent: z.string().max(4000).optional().describe('Why this is asked, in words; recorded, not sent to the agent'),
    timeout_seconds: z.number().positive().max(600).optional().describe('TASK_TIMEOUT_SECONDS unless given'),
  })
  .refine((body) => body.capability !== undefined || body.agent_id !== undefined, {
    error: 'name a capability or an agent_id',
    path: ['capability'],
  })
  .meta({
    id: 'OrchestrateBody',
    anyOf: [
      { title: 'by capability', required: ['capability'] },
      { title: 'by agent', required: ['agent_id'] },
    ],
    examples: [{ session_id: 'first', capability: 'echo', parameters: { text: 'Hello, world!' } }],
  });

export const IdempotencyKey = z.string().min(1).max(255).optional();

export const ContractError = z
  .string()
  .nullable()
  .meta({ description: `Why it did not complete: ${Object.keys(ERROR_CODES).join(', ')}`, examples: [null] });

export const OrchestrateAnswer = z
  .object({
    success: z.boolean(),
    data: Json.meta({ description: 'The result; null without one' }),
    text: z.string().nullable().describe('What the agent said in words; null if it did not'),
    files: z.array(FileReference).describe('Files it made'),
    error: z.string().nullable().describe('What went wrong, in words'),
    error_code: ContractError,
    contract_id: Ulid.describe('Of the REQUEST'),
    agent_id: z.string().nullable().describe('Who was asked; null: nobody could do it'),
    task_id: Ulid.nullable(),
    timestamp: Time.describe('Of the RESPONSE'),
    receipt: Receipt.describe('Of the RESPONSE: with it nobody can deny the answer'),
  })
  .meta({
    id: 'OrchestrateAnswer',
    examples: [
      {
        success: true,
        data: { message: 'Echo: Hello, world!' },
        text: null,
        files: [],
        error: null,
        error_code: null,
        contract_id: '01M7ZBSG2SZ3SMERRYNBVMZE94',
        agent_id: 'agent_example_001',
        task_id: '01M7ZBSG2SZ3SMERRYNBVMZE93',
        timestamp: '2026-11-21T15:32:25.367Z',
        receipt: {
          stream: 'default/session/01M7ZBSG3BCX22XF835Q214XHE',
          seq: 2,
          hash: 'a8c920363160ba25bb9282fb2cd935ecf59ce623f1f8458da4b51c75507573bb',
        },
      },
    ],
  });

const Missed = z.int().min(1).optional().describe('So many events before it were left out: they came faster than they were read');

/** What stands in `data` of each event, by its name. */
export const OrchestrateEvent = z
  .discriminatedUnion('event', [
    z.object({
      event: z.literal('contract').describe('First: the REQUEST is on the record'),
      data: OrchestrateAnswer.pick({ contract_id: true, agent_id: true, task_id: true }),
    }),
    z.object({ event: z.literal('status').describe('What the agent is doing'), data: z.object({ status: z.string(), missed: Missed }) }),
    z.object({ event: z.literal('delta').describe('A piece of what it will say'), data: z.object({ delta: z.string(), missed: Missed }) }),
    z.object({ event: z.literal('result').describe('Last: what the call without events answers'), data: OrchestrateAnswer }),
    z.object({ event: z.literal('error').describe('Instead, if the RESPONSE could not be recorded yet'), data: Problem }),
  ])
  .meta({ id: 'OrchestrateEvent', description: 'One event of the stream: its name, and its data as JSON in one line' });
