/** What the command line relies on in the answers of an orchestrator, which may know more fields than these. */
import { z } from 'zod';

export const Answer = z.looseObject({
  success: z.boolean(),
  data: z.unknown(),
  error: z.string().nullable(),
  error_code: z.string().nullable(),
  contract_id: z.string(),
  agent_id: z.string().nullable(),
  timestamp: z.string(),
  receipt: z.looseObject({ stream: z.string(), seq: z.number(), hash: z.string() }),
});
export type Answer = z.output<typeof Answer>;

/** One half of a contract; a REQUEST has the status, result and completion of its RESPONSE. */
export const ContractHalf = z.looseObject({
  contract_id: z.string(),
  contract_type: z.enum(['REQUEST', 'RESPONSE']),
  from_agent: z.string().nullable(),
  to_agent: z.string().nullable(),
  capability: z.string().nullable(),
  parameters: z.unknown(),
  status: z.string().nullable(),
  created_at: z.string(),
  completed_at: z.string().nullable(),
  result: z.unknown(),
  error: z.string().nullable(),
  error_code: z.string().nullable(),
  in_reply_to: z.string().nullable(),
  seq: z.number(),
  metadata: z.looseObject({}),
});
export type ContractHalf = z.output<typeof ContractHalf>;

export const ContractsPage = z.looseObject({
  contracts: z.array(ContractHalf),
  total: z.number(),
  next_cursor: z.string().nullable(),
});
export type ContractsPage = z.output<typeof ContractsPage>;

export const ListedAgent = z.looseObject({
  agent_id: z.string(),
  status: z.string(),
  protocol: z.string(),
  version: z.string(),
  in_flight: z.number(),
  tasks_completed: z.number(),
  tasks_failed: z.number(),
  capabilities: z.array(z.looseObject({ name: z.string() })),
});
export type ListedAgent = z.output<typeof ListedAgent>;

export const AgentsPage = z.looseObject({ agents: z.array(ListedAgent) });

/** As it is, or as it was. */
export const ShownAgent = z.looseObject({ agent_id: z.string(), status: z.string() });

export const RegisteredAgents = AgentsPage.extend({ changed: z.array(z.string()), errors: z.array(z.string()) });

export const Looked = z.looseObject({
  looked: z.array(z.looseObject({ url: z.string(), agents: z.array(z.string()), errors: z.array(z.string()) })),
});

export const RetiredAgent = z.looseObject({ agent_id: z.string() });

export const Health = z.looseObject({ status: z.string(), service: z.literal('agent-orchestrator') });

/** RFC 9457 with our `code`. */
export const Problem = z.looseObject({
  title: z.string(),
  code: z.string(),
  detail: z.string(),
  pointer: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});
