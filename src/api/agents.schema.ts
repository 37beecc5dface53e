import { z } from 'zod';
import { Capability } from '../agents/agent.js';
import { AgentLimits, Registration } from '../agents/registration.js';
import { Hash, Json, Name, Time } from './words.schema.js';

export const AgentIdParam = Name(64)
  .min(1)
  .meta({ description: 'The agent’s id', examples: ['agent_example_001'] });

const JsonSchema = z.record(z.string(), Json);

const Offered = z
  .object({
    name: z.string(),
    description: z.string(),
    input_schema: JsonSchema.optional().describe('JSON Schema of `parameters`'),
    output_schema: JsonSchema.optional().describe('JSON Schema of `data`'),
    parameters: JsonSchema.optional().describe('What it takes, in words for people; nothing is held to it'),
    tags: z.array(z.string()).optional(),
    examples: z.array(Json).optional().describe('Of `parameters`'),
    idempotent: z.boolean().optional().describe('To do it twice is the same as once: it is tried again after any failure of the agent'),
    replay_safe: z.boolean().optional().describe('Recorded tasks may be sent to it again for comparison: that harms nobody'),
  })
  .meta({ id: 'OfferedCapability' });

export const AgentStatus = z.enum(['available', 'busy', 'offline', 'error', 'stopped']);

const Source = z
  .object({
    by: z.enum(['file', 'api', 'discovery']),
    url: z.string().nullable().describe('Whose document was read; looked at again every DISCOVERY_INTERVAL_SECONDS'),
    signature: z.enum(['unsigned', 'valid']).nullable(),
  })
  .meta({ id: 'AgentSource', description: 'Where the description came from' });

export const AgentItem = z
  .object({
    agent_id: z.string(),
    name: z.string(),
    description: z.string(),
    version: z.string(),
    capabilities: z.array(Offered),
    status: AgentStatus.describe(
      '`offline`: it cannot be reached, its lease is over, or discovery finds it no more; `error`: its answers cannot be used; `busy`: as many calls as it takes; `stopped`: it gets nothing new',
    ),
    protocol: z.string(),
    endpoint: z.string().nullable(),
    registered_at: Time.describe('When the description in force was recorded'),
    record: z.string().describe('Hash of that record; the REQUESTs name it'),
    last_heartbeat: Time.nullable().describe('Its latest sign of life: a good probe, or a heartbeat'),
    source: Source,
    ...AgentLimits.shape,
    lease_seconds: z.int().optional(),
    in_flight: z.int().min(0).describe('Calls under way'),
    tasks_completed: z.int().min(0).describe('From the record, a moment behind it'),
    tasks_failed: z.int().min(0),
  })
  .meta({ id: 'Agent' });

export const AgentsPage = z.object({ agents: z.array(AgentItem), total: z.int() }).meta({ id: 'AgentsPage' });

const Health = z
  .object({
    status: z.enum(['healthy', 'unhealthy', 'unknown']),
    checked_at: Time.nullable().describe('null: it was not asked yet'),
    error: z.string().nullable().describe('Why it is not healthy, or why nobody knows'),
  })
  .meta({ id: 'AgentHealth', description: 'The latest probe, whichever replica made it' });

export const AgentDetail = AgentItem.extend({
  health: Health,
  lease_until: Time.nullable().describe('Without a heartbeat until then it is offline; null: it has no lease'),
}).meta({ id: 'AgentDetail' });

/** As the record has it: what is known only now is not in it. */
export const AgentThen = z
  .object({
    agent_id: z.string(),
    status: z.enum(['available', 'offline', 'error', 'stopped', 'retired', 'unknown']).describe('`unknown`: not registered yet'),
    as_of: z.object({ seq: z.int().min(0), at: z.string() }).describe('The agent’s stream, up to this event'),
    record: Hash.nullable().describe('The record in force, which REQUESTs of that time name'),
    registered_at: Time.nullable(),
    retired_at: Time.nullable(),
    health: z.object({ state: z.string(), reason: z.string().nullable(), since: Time }).nullable(),
    description: z.record(z.string(), Json).nullable().describe('As it was recorded; null: not there, or erased'),
  })
  .meta({ id: 'AgentThen' });

export const AgentQuery = z.object({
  at: z
    .union([
      z.string().regex(/^\d{1,15}$/, 'must be a place in the log, or an ISO 8601 time with its zone'),
      z.iso.datetime({ offset: true, error: 'must be a place in the log, or an ISO 8601 time with its zone' }),
    ])
    .optional()
    .describe('Shows the agent as it was: after the event at this place (idx), or at this time (ISO 8601 with zone)'),
});

export const AgentsHealth = z
  .object({
    agents: z.array(Health.extend({ agent_id: z.string(), state: AgentStatus }).meta({ id: 'NamedAgentHealth' })),
    total: z.int(),
    healthy_agents: z.array(z.string()).describe('Their ids'),
    unhealthy_agents: z.array(z.string()).describe('Of those that are offline, or in error'),
    total_agents: z.int().min(0),
    system_health: z.enum(['healthy', 'warning', 'degraded']).describe('Nobody, some, more than half unhealthy'),
  })
  .meta({ id: 'AgentsHealth' });

export const AgentMetrics = z
  .object({
    agent_id: z.string(),
    requests: z.int().min(0).describe('Contracts of the caller’s tenant, a moment behind the record'),
    completed: z.int().min(0),
    failed: z.int().min(0),
    cancelled: z.int().min(0),
    success_rate: z.number().min(0).max(1).nullable().describe('Completed among the ended; null: none has ended'),
    in_flight: z.int().min(0),
    p50_ms: z.int().min(0).nullable().describe('From REQUEST to RESPONSE; null: nothing to measure'),
    p95_ms: z.int().min(0).nullable(),
    measured: z.int().min(0).describe('How many of the latest contracts were measured, 1000 at most'),
    last_error: z.object({ contract_id: z.string(), code: z.string(), message: z.string().nullable(), at: Time }).nullable(),
  })
  .meta({ id: 'AgentMetrics' });

/** A member with a typing error would be a schema that nothing is held to. */
const capabilities = z.array(Capability.strict()).min(1).max(500);

export const RegisterBody = Registration.partial()
  .extend({
    capabilities: capabilities.optional(),
    url: Registration.shape.endpoint.unwrap().optional().describe('Alone: who lives there is found out'),
  })
  .strict()
  .meta({
    id: 'RegisterBody',
    description: 'An address, `{url}`, or a full description with `endpoint`',
    example: {
      agent_id: 'greeter',
      name: 'Greeter',
      version: '1.0.0',
      protocol: 'http',
      endpoint: 'http://127.0.0.1:8000',
      capabilities: [{ name: 'greet', description: 'Greets somebody by name', input_schema: { type: 'object' } }],
      lease_seconds: 60,
    },
  });

export const ReplaceBody = Registration.required({ endpoint: true })
  .partial({ agent_id: true })
  .extend({ capabilities })
  .strict()
  .meta({ id: 'ReplaceBody' });

export const HeartbeatBody = z
  .strictObject({ lease_seconds: Registration.shape.lease_seconds.describe('From now; otherwise as it was registered') })
  .meta({ id: 'HeartbeatBody', example: { lease_seconds: 60 } });

export const RefreshBody = z
  .strictObject({ url: Registration.shape.endpoint.unwrap().optional().describe('Only this address; otherwise all that are known') })
  .meta({ id: 'RefreshBody', example: {} });

export const Refreshed = z
  .object({
    looked: z.array(z.object({ url: z.string(), agents: z.array(z.string()), errors: z.array(z.string()) })),
    total: z.int(),
  })
  .meta({ id: 'Refreshed' });

export const Registered = z
  .object({
    agents: z.array(AgentItem),
    total: z.int(),
    changed: z.array(z.string()).describe('Ids of those whose registration is new or changed something'),
    errors: z.array(z.string()).describe('Who else lives at the address, and why he was not registered'),
  })
  .meta({ id: 'Registered' });

export const HeartbeatTaken = z
  .object({ agent_id: z.string(), status: AgentStatus, lease_until: Time.nullable() })
  .meta({ id: 'HeartbeatTaken' });

export const AgentRetired = z.object({ agent_id: z.string(), retired_at: Time }).meta({ id: 'AgentRetired' });

const CapabilityItem = z
  .object({
    name: z.string(),
    agents: z.array(
      z.object({
        agent_id: z.string(),
        version: z.string(),
        description: z.string(),
        input_schema: JsonSchema.nullable().describe('JSON Schema of `parameters`; null: anything goes'),
        output_schema: JsonSchema.nullable().describe('JSON Schema of `data`'),
      }),
    ),
  })
  .meta({ id: 'Capability', description: 'Agents may mean different things by one name: each has its own schemas' });

export const CapabilitiesPage = z.object({ capabilities: z.array(CapabilityItem), total: z.int() }).meta({ id: 'CapabilitiesPage' });
