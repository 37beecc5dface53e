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

export const Status = z
  .object({
    orchestrator: z.object({
      status: z.enum(['running', 'degraded']),
      version: z.string(),
      started_at: Time,
      database: z.enum(['embedded', 'postgresql']),
      in_flight: Count.describe('Tasks this process works on'),
    }),
    agents: z.object({ total: Count, by_status: z.record(AgentStatus, Count), registered: z.array(z.string()) }),
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
