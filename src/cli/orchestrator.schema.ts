/** What the command line relies on in the answers of an orchestrator, which may know more fields than these. */
import { z } from 'zod';

export const Answer = z.looseObject({
  success: z.boolean(),
  data: z.unknown(),
  text: z.string().nullish(),
  files: z.array(z.looseObject({})).nullish(),
  error: z.string().nullable(),
  error_code: z.string().nullable(),
  contract_id: z.string(),
  agent_id: z.string().nullable(),
  timestamp: z.string(),
  receipt: z.looseObject({ stream: z.string(), seq: z.number(), hash: z.string() }),
  attempts: z
    .array(z.looseObject({ contract_id: z.string(), agent_id: z.string().nullable(), error_code: z.string().nullable() }))
    .optional(),
});
export type Answer = z.output<typeof Answer>;

/** Who would get a task. */
export const Routed = z.looseObject({
  agent_id: z.string().nullable(),
  capability: z.string().nullable(),
  error: z.string().nullable(),
  error_code: z.string().nullable(),
  explanation: z.string(),
  decision_ms: z.number(),
});

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
  cause: z.string().nullish(),
  task_id: z.string().nullish(),
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

export const CompressProgress = z.looseObject({ step: z.string(), done: z.number(), total: z.number() });

const Said = z.looseObject({ text: z.string(), contracts: z.array(z.string()) });

export const Compressed = z.looseObject({
  status: z.string(),
  created: z.boolean(),
  memory_block: z
    .looseObject({
      memory_block_id: z.string(),
      summarizer: z.string(),
      model: z.string().nullable(),
      fallback: z.string().nullable(),
      sentences: z.array(Said),
      key_decisions: z.array(Said),
      facts: z.array(Said),
      preferences: z.array(Said),
      open_questions: z.array(Said),
      failures: z.array(Said),
      coverage: z.number(),
      not_covered: z.array(z.string()),
      removed_total: z.number(),
      from_seq: z.number(),
      to_seq: z.number(),
      tokens_in: z.number(),
      tokens_out: z.number(),
      cost: z.number().nullable(),
      memagent: z.string(),
    })
    .nullable(),
  error: z.string().nullable(),
  code: z.string().optional(),
});
export type Compressed = z.output<typeof Compressed>;
export type CompressProgress = z.output<typeof CompressProgress>;

/** RFC 9457 with our `code`. */
export const Problem = z.looseObject({
  title: z.string(),
  status: z.number().optional(),
  code: z.string(),
  detail: z.string(),
  pointer: z.string().optional(),
  errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
});

/** What is told of a task that is followed. */
export const TaskEvent = z.discriminatedUnion('event', [
  z.object({ event: z.literal('contract'), data: z.looseObject({ contract_id: z.string(), agent_id: z.string().nullable() }) }),
  z.object({ event: z.literal('status'), data: z.looseObject({ status: z.string(), missed: z.number().optional() }) }),
  z.object({ event: z.literal('delta'), data: z.looseObject({ delta: z.string(), missed: z.number().optional() }) }),
  z.object({ event: z.literal('result'), data: Answer }),
  z.object({ event: z.literal('error'), data: Problem }),
]);
export type TaskEvent = z.output<typeof TaskEvent>;
export const TraceStatus = z.looseObject({
  status: z.string(),
  url: z.string().optional(),
  breaker: z.string().optional(),
  lag: z.number().optional(),
  lag_seconds: z.number().optional(),
  parked: z.number().optional(),
  retrying: z.number().optional(),
  last_error: z.string().nullable().optional(),
  waiting_streams: z.array(
    z.looseObject({
      session_id: z.string().nullable(),
      stream: z.string(),
      from_idx: z.number(),
      since: z.string(),
      error: z.string(),
      tries: z.number(),
      retry_at: z.string().nullable(),
    }),
  ),
});
export type TraceStatus = z.output<typeof TraceStatus>;

export const TraceRetried = z.looseObject({ retried: z.number() });
export const TraceReplayed = z.looseObject({ events: z.number() });

const place = { event_id: z.string().nullable(), seq: z.number().optional() };

export const TraceAudit = z.looseObject({
  session_id: z.string(),
  verdict: z.enum(['same', 'different', 'missing']),
  events: z.number(),
  held: z.number(),
  missing: z.array(z.looseObject({ ...place, why: z.string() })),
  repeated: z.array(z.looseObject({ ...place, times: z.number() })),
  different: z.array(z.looseObject({ ...place, fields: z.array(z.string()) })),
  misplaced: z.array(z.looseObject(place)),
  unknown: z.array(z.looseObject({ ...place, event_type: z.string() })),
  found: z.record(z.string(), z.number()),
});
export type TraceAudit = z.output<typeof TraceAudit>;

export const LogStatus = z.looseObject({
  origin: z.string().nullable(),
  size: z.number(),
  root: z.string().nullable(),
  signed_at: z.string().nullable(),
  refused: z.string().nullable(),
  logs: z.array(z.looseObject({ origin: z.string(), first_idx: z.number() })),
  keys: z.array(z.looseObject({ vkey: z.string(), first_size: z.number() })),
  anchors: z.array(z.looseObject({ name: z.string(), size: z.number().nullable(), error: z.string().nullable() })),
});
export type LogStatus = z.output<typeof LogStatus>;
