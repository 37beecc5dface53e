import { z } from 'zod';
import { Json, Time } from './words.schema.js';

export const AgentIdParam = z
  .string()
  .min(1)
  .max(64)
  .meta({ description: 'The agent’s id', examples: ['agent_example_001'] });

const JsonSchema = z.record(z.string(), Json);

const Offered = z
  .object({
    name: z.string(),
    description: z.string(),
    input_schema: JsonSchema.optional().describe('JSON Schema of `parameters`'),
    output_schema: JsonSchema.optional().describe('JSON Schema of `data`'),
    tags: z.array(z.string()).optional(),
    examples: z.array(Json).optional().describe('Of `parameters`'),
  })
  .meta({ id: 'OfferedCapability' });

export const AgentStatus = z.enum(['available', 'busy', 'offline', 'error']);

export const AgentItem = z
  .object({
    agent_id: z.string(),
    name: z.string(),
    description: z.string(),
    version: z.string(),
    capabilities: z.array(Offered),
    status: AgentStatus.describe('`offline`: it failed the latest health check of this process; `busy` and `error` do not occur'),
    protocol: z.string(),
    endpoint: z.string().nullable(),
    registered_at: Time.describe('When the description in force was recorded'),
    record: z.string().describe('Hash of that record; the REQUESTs name it'),
    last_heartbeat: Time.nullable().describe('When this process last found it healthy'),
    tasks_completed: z.int().min(0).describe('From the record, a moment behind it'),
    tasks_failed: z.int().min(0),
  })
  .meta({ id: 'Agent' });

export const AgentsPage = z.object({ agents: z.array(AgentItem), total: z.int() }).meta({ id: 'AgentsPage' });

const Health = z
  .object({
    status: z.enum(['healthy', 'unhealthy', 'unknown']),
    checked_at: Time,
    error: z.string().nullable().describe('Why it is not healthy, or why nobody knows'),
  })
  .meta({ id: 'AgentHealth' });

export const AgentDetail = AgentItem.extend({ health: Health }).meta({ id: 'AgentDetail' });

export const AgentsHealth = z
  .object({ agents: z.array(Health.extend({ agent_id: z.string() }).meta({ id: 'NamedAgentHealth' })), total: z.int() })
  .meta({ id: 'AgentsHealth' });

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
