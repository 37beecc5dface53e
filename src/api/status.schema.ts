import { z } from 'zod';
import { AgentStatus } from './agents.schema.js';
import { Time } from './words.schema.js';

const life = <T extends [string, ...string[]]>(id: string, ...status: T) =>
  z.object({ status: z.enum(status), service: z.literal('agent-orchestrator'), version: z.string(), timestamp: Time }).meta({ id });

export const Health = life('Health', 'healthy', 'degraded');
export const Live = life('Live', 'alive');
export const Ready = life('Ready', 'ready');

const Count = z.int().min(0);
const Peer = z.object({ status: z.enum(['off']).describe('`off`: not connected to one') }).meta({ id: 'IntegrationStatus' });

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
    integrations: z.object({ memagent: Peer, trace: Peer, all_healthy: z.boolean().describe('None that is connected is unwell') }),
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
        error: z.string().nullable(),
      }),
    ),
    parked: Count.describe('Streams that wait behind an event that could not be handled'),
    workers: z.record(z.string(), z.record(z.string(), z.unknown())).describe('What each loop of this process does; for people'),
  })
  .meta({ id: 'Status' });
