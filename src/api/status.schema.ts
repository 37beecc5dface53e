import { z } from 'zod';
import { AgentStatus } from './agents.schema.js';
import { Time } from './words.schema.js';

const life = <T extends [string, ...string[]]>(id: string, ...status: T) =>
  z.object({ status: z.enum(status), service: z.literal('agent-orchestrator'), version: z.string(), timestamp: Time }).meta({ id });

export const Health = life('Health', 'healthy', 'degraded');
export const Live = life('Live', 'alive');
export const Ready = life('Ready', 'ready');

const Count = z.int().min(0);
export const IntegrationStatus = z
  .object({
    status: z
      .enum(['off', 'healthy', 'degraded', 'unavailable'])
      .describe('`off`: not connected to one; `degraded`: sessions are parked; `unavailable`: it is away, everything waits'),
    url: z.string().optional(),
    lag: z.int().optional().describe('Events of the ledger not passed yet'),
    lag_seconds: z.number().optional().describe('Age of the oldest of them'),
    parked: Count.optional().describe('Sessions that wait for somebody to ask for another try'),
    retrying: Count.optional().describe('Sessions that are tried again by themselves'),
    last_error: z.string().nullable().optional(),
    breaker: z.enum(['closed', 'open', 'half open']).optional().describe('Of this process'),
    provenance: z.boolean().optional().describe('Whether it takes nodes of the call tree'),
    leading: z.boolean().optional().describe('This process is the one that forwards right now'),
    delivered: Count.optional().describe('By this process'),
    waits_ms: Count.optional().describe('How long it waits before it looks again'),
  })
  .meta({ id: 'IntegrationStatus' });

export const SelfCheckStatus = z
  .object({
    status: z
      .enum(['off', 'waiting', 'valid', 'invalid', 'diverged', 'incomplete'])
      .describe('Verdict of the last self-check; `off`: `VERIFY_INTERVAL` is unset; `waiting`: none has ended yet'),
    sound: z.boolean().describe('Nothing wrong is known'),
    finished_at: Time.nullable(),
    events: Count.optional(),
    found: Count.optional().describe('Findings'),
    first: z.string().optional().describe('The first of them, in words; `agent-orchestrator verify` tells all'),
    anchored: z.boolean().optional().describe('It was held against a checkpoint outside the database (`CHECKPOINT_DIR`)'),
    running: z.object({ done: Count, total: Count }).nullable(),
    error: z.string().nullable().describe('Why the last one did not come to an end'),
  })
  .meta({ id: 'SelfCheckStatus' });

export const Status = z
  .object({
    orchestrator: z.object({
      status: z.enum(['running', 'degraded']),
      version: z.string(),
      started_at: Time,
      database: z.enum(['embedded', 'postgresql']),
      in_flight: Count.describe('Tasks this process works on'),
      waiting: Count.describe('Of these, those that wait for an agent that is busy or stopped, or for their next attempt'),
      most_in_flight: Count.describe('MAX_CONCURRENT_REQUESTS: beyond it, those that wait not counted, tasks are refused'),
    }),
    agents: z.object({
      total: Count,
      by_status: z.record(AgentStatus, Count),
      registered: z.array(z.string()),
      guarded: z
        .array(z.object({ agent_id: z.string(), breaker: z.enum(['closed', 'half_open', 'open']), running: Count, waiting: Count }))
        .describe('Those that this process does not call for now, or for which tasks wait'),
    }),
    contracts: z
      .object({
        total_sessions: Count,
        total_contracts: Count,
        by_status: z.object({ pending: z.int(), completed: Count, failed: Count, cancelled: Count }),
      })
      .describe('Of the caller’s tenant, a moment behind the record'),
    integrations: z.object({
      memagent: IntegrationStatus,
      trace: IntegrationStatus,
      all_healthy: z.boolean().describe('None that is connected is unwell'),
    }),
    ledger: z.object({
      events: Count,
      sequenced: Count.describe('Have their place in the global order'),
      pending: Count,
      last_sequenced_at: Time.nullable(),
      open_requests: Count,
    }),
    self_check: SelfCheckStatus,
    followers: z.array(
      z.object({
        name: z.string(),
        cursor: z.int().describe('Last place handled, -1 before the first'),
        lag: z.int(),
        lag_seconds: z.number(),
        parked: Count,
        retrying: Count,
        error: z.string().nullable(),
      }),
    ),
    parked: Count.describe('Streams that wait behind an event that could not be handled'),
    workers: z.record(z.string(), z.record(z.string(), z.unknown())).describe('What each loop of this process does; for people'),
  })
  .meta({ id: 'Status' });
