import { z } from 'zod';
import { Plan, StepResult } from './plan.schema.js';
import { Problem } from './problem.schema.js';
import { asksSomething, ContractError, JsonObject, NAMELESS, OF_ONE_CALL, Task } from './task.schema.js';
import { FileReference, Json, Receipt, SessionId, Time, Ulid } from './words.schema.js';

export const OrchestrateBody = z
  .strictObject({
    session_id: SessionId,
    ...Task,
    plan: Plan.optional(),
    parameters: JsonObject.optional().meta({ description: 'What the agent gets; {} unless given' }),
    context: JsonObject.optional().meta({
      description:
        'What else the agent should know; {} unless given. With `history: n` (a number from 0 to 50) the agent gets in its place the latest n contracts of the ' +
        'session that have ended, newest first',
    }),
    queue: z
      .boolean()
      .optional()
      .describe('Where all who can do it are stopped: wait for one to be started, until the deadline, instead of ending `no_agent`'),
    priority: z
      .int()
      .min(1)
      .max(10)
      .optional()
      .describe('Of tasks that wait for the same busy agent the higher goes first, and of equals who came first; 1 unless given'),
    intent: z.string().max(4000).optional().describe('Why this is asked, in words; recorded, not sent to the agent'),
    replay_of: Ulid.optional().describe('The contract that is asked again; recorded, not sent to the agent'),
    timeout_seconds: z.number().positive().max(600).optional().describe('TASK_TIMEOUT_SECONDS unless given'),
  })
  .superRefine((body, context) => {
    const wrong = (field: string, message: string) => context.addIssue({ code: 'custom', message, path: [field] });
    if (body.plan === undefined) {
      if (!asksSomething(body)) wrong('capability', NAMELESS);
      return;
    }
    if (body.replay_of !== undefined) wrong('replay_of', 'is of one call, and does not go with a plan');
    for (const field of OF_ONE_CALL) if (body[field] !== undefined) wrong(field, 'belongs to the steps of the plan');
  })
  .meta({
    id: 'OrchestrateBody',
    anyOf: [
      { title: 'by capability', required: ['capability'] },
      { title: 'by agent', required: ['agent_id'] },
      { title: 'by message', required: ['message'] },
      { title: 'several steps', required: ['plan'] },
    ],
    examples: [{ session_id: 'first', capability: 'echo', parameters: { text: 'Hello, world!' } }],
  });

export const OrchestrateQuery = z.object({
  wait: z.literal('published').optional().describe('Answer only when a signed checkpoint has the RESPONSE'),
});

export const IdempotencyKey = z.string().min(1).max(255).optional();

export const OrchestrateAnswer = z
  .object({
    success: z.boolean(),
    data: Json.meta({
      description: 'The result; null without one. Of a plan a PlanResult',
      anyOf: [{ $ref: '#/components/schemas/PlanResult' }, {}],
    }),
    text: z.string().nullable().describe('What the agent said in words; null if it did not'),
    files: z.array(FileReference).describe('Files it made'),
    error: z.string().nullable().describe('What went wrong, in words'),
    error_code: ContractError,
    contract_id: Ulid.describe('Of the REQUEST'),
    agent_id: z.string().nullable().describe('Who was asked; null: nobody could do it, or it is a plan'),
    task_id: Ulid.nullable(),
    timestamp: Time.describe('Of the RESPONSE'),
    receipt: Receipt.describe('Of the RESPONSE: with it nobody can deny the answer'),
    published: z
      .object({ index: z.int().min(0), tree_size: z.int().min(1) })
      .nullable()
      .optional()
      .describe(
        'With `wait=published`: where the RESPONSE stands in the log, and how large the tree is that has it; null: none was signed in time',
      ),
    attempts: z
      .array(z.object({ contract_id: Ulid, agent_id: z.string().nullable(), success: z.boolean(), error_code: ContractError }))
      .optional()
      .describe('Only where the task was tried more than once: each attempt, a contract of its own. The answer is that of the last'),
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

const step = z.string().optional().describe('Of a plan: the step');
const Missed = z.int().min(1).optional().describe('So many events before it were left out: they came faster than they were read');

/** What stands in `data` of each event, by its name. */
export const OrchestrateEvent = z
  .discriminatedUnion('event', [
    z.object({
      event: z
        .literal('contract')
        .describe('First: the REQUEST is on the record. Again for each further attempt, and of a plan for each step'),
      data: OrchestrateAnswer.pick({ contract_id: true, agent_id: true, task_id: true }).extend({ step }),
    }),
    z.object({
      event: z.literal('status').describe('What the agent is doing'),
      data: z.object({ status: z.string(), missed: Missed, step }),
    }),
    z.object({
      event: z.literal('delta').describe('A piece of what it will say'),
      data: z.object({ delta: z.string(), missed: Missed, step }),
    }),
    z.object({ event: z.literal('step').describe('A step of a plan has ended'), data: StepResult }),
    z.object({ event: z.literal('result').describe('Last: what the call without events answers'), data: OrchestrateAnswer }),
    z.object({ event: z.literal('error').describe('Instead, if the RESPONSE could not be recorded yet'), data: Problem }),
  ])
  .meta({ id: 'OrchestrateEvent', description: 'One event of the stream: its name, and its data as JSON in one line' });
