import { z } from 'zod';
import { ContractError } from './task.schema.js';
import { Cursor, FileReference, Hash, Json, Limit, Name, NextCursor, SessionId, Time, Ulid } from './words.schema.js';

export const ContractId = Ulid.describe('The id of either half of the contract');

const Status = z.enum(['pending', 'completed', 'failed', 'cancelled']);
const Type = z.enum(['REQUEST', 'RESPONSE']);
const When = z.iso.datetime({ offset: true }).transform(utc);

/** As the record writes times, so that they compare as text. */
function utc(time: string): string {
  return new Date(time).toISOString();
}

export const ContractsQuery = z.strictObject({
  session_id: SessionId.optional().describe('Only this session, in its order; without it all sessions, newest first'),
  from_agent: Name(64).optional().describe('An agent’s id (RESPONSEs) or `orchestrator` (REQUESTs)'),
  to_agent: Name(64).optional().describe('An agent’s id (REQUESTs) or `orchestrator` (RESPONSEs)'),
  capability: Name(256).optional().describe('By exactly this name'),
  status: Status.optional().describe('A REQUEST has the status of its RESPONSE'),
  type: Type.optional().describe('Only this half'),
  since: When.optional().describe('Recorded at this time or later, ISO 8601 with an offset'),
  until: When.optional().describe('Recorded before this time'),
  limit: Limit,
  cursor: Cursor,
});

export const ContractItem = z
  .object({
    contract_id: Ulid.describe('Of this half'),
    session_id: z.string().nullable().describe('Null: erased'),
    contract_type: Type,
    from_agent: z.string().nullable(),
    to_agent: z.string().nullable(),
    capability: z.string().nullable().describe('Null: no agent offers what was asked for'),
    parameters: Json.meta({ description: 'Of a REQUEST' }),
    payload: Json.meta({ description: 'The parameters of a REQUEST, the result of a RESPONSE' }),
    status: Status.nullable().describe('A REQUEST has the status of its RESPONSE'),
    created_at: Time,
    completed_at: Time.nullable(),
    result: Json,
    text: z.string().nullable().describe('What the agent said in words'),
    files: z.array(FileReference),
    error: z.string().nullable(),
    error_code: ContractError,
    in_reply_to: Ulid.nullable().describe('Of a RESPONSE: its REQUEST'),
    cause: Ulid.nullable().describe('The event that led to this one'),
    task_id: Ulid.nullable(),
    replay_of: Ulid.nullable().describe('Of a REQUEST that repeats an earlier one: that one. Null otherwise'),
    seq: z.int().min(1).describe('Place in the stream'),
    hash: Hash,
    metadata: z
      .record(z.string(), Json)
      .describe(
        'What else was recorded, as `asked`, `context`, `history`, `routing`, `plan`, `step`, `previous`, `raw`, `read`, `continuation`',
      ),
    erased: z
      .object({ erasure_id: Ulid, at: Time, basis: z.string().nullable(), requested_by: z.string().nullable() })
      .nullable()
      .describe('Something of it was erased: by which `payload.erased` event, when and why. Null: all of it is there'),
  })
  .meta({ id: 'ContractItem', description: 'One half of a contract' });

export const ContractsPage = z
  .object({
    session_id: z.string().optional().describe('As asked for'),
    contracts: z.array(ContractItem),
    total: z.int().min(0).describe('Of all pages'),
    total_exact: z.literal(false).optional().describe('There only if `total` is a lower bound'),
    next_cursor: NextCursor,
  })
  .meta({ id: 'ContractsPage' });

export const ContractDetail = z
  .object({ request: ContractItem, response: ContractItem.nullable().describe('Null: still open') })
  .meta({ id: 'ContractDetail' });
