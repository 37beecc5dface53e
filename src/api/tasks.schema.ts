import { z } from 'zod';
import { ContractItem } from './contracts.schema.js';
import { Time, Ulid } from './words.schema.js';

export const TaskId = Ulid.describe('`task_id` of an answer or a contract');

export const TaskTree = z
  .object({
    task_id: Ulid,
    session_id: z.string().nullable().describe('Null: erased'),
    status: z
      .enum(['running', 'completed', 'failed', 'cancelled'])
      .describe('`running`: a REQUEST is open. Otherwise as its last RESPONSE has it, which of a plan is the plan’s own'),
    created_at: Time,
    completed_at: Time.nullable(),
    cancel_requested_at: Time.nullable().describe('When somebody asked to cancel it; forgotten after an hour'),
    contracts: z
      .array(
        ContractItem.extend({
          response_id: Ulid.nullable().describe('Of its RESPONSE; null: it is open'),
          parent: Ulid.nullable().describe('The contract it belongs to: of a step its plan, of a further attempt the one before'),
        }).meta({ id: 'TaskContract' }),
      )
      .describe('The REQUEST of every contract, with the status and result of its RESPONSE, in the order of the record'),
  })
  .meta({ id: 'TaskTree', description: 'A task: what it was carried with, as far as it has come' });
