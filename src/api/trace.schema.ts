import { z } from 'zod';
import { IntegrationStatus } from './status.schema.js';
import { SessionId, Time } from './words.schema.js';

const Count = z.int().min(0);

export const RetryParkedBody = z
  .strictObject({ session_id: SessionId.optional().describe('Only this session; without it all that are parked') })
  .optional()
  .meta({ id: 'RetryParkedBody', examples: [{ session_id: 'first' }] });

export const ReplayBody = z
  .strictObject({
    session_id: SessionId.optional().describe('This session from its first event on'),
    from: Count.optional().describe('Everything from this place in the global order on'),
  })
  .refine((body) => (body.session_id === undefined) !== (body.from === undefined), 'say either session_id or from')
  .meta({ id: 'ReplayBody', examples: [{ session_id: 'first' }] });

export const TraceAuditBody = z.strictObject({ session_id: SessionId }).meta({ id: 'TraceAuditBody', examples: [{ session_id: 'first' }] });

export const Retried = z.object({ retried: Count.describe('Streams that are tried now') });
export const Replayed = z.object({ events: Count.describe('Events of the ledger that are passed again, also those Trace is not told of') });

export const TraceStatus = z
  .object({
    ...IntegrationStatus.shape,
    waiting_streams: z
      .array(
        z.object({
          session_id: z.string().nullable().describe('null: erased'),
          stream: z.string(),
          from_idx: z.int().describe('The event it waits at, in the global order'),
          since: Time,
          error: z.string(),
          tries: Count,
          retry_at: Time.nullable().describe('null: parked until somebody asks'),
        }),
      )
      .describe('The first hundred'),
  })
  .meta({ id: 'TraceStatus' });

const Named = z.object({ event_id: z.string(), seq: z.int() });

export const TraceAuditResult = z
  .object({
    session_id: z.string(),
    verdict: z.enum(['same', 'different', 'missing']),
    events: Count.describe('Halves of contracts in the ledger'),
    held: Count.describe('Events about contracts at Trace'),
    missing: z.array(
      z.object({
        ...Named.shape,
        why: z
          .enum(['waiting', 'parked', 'passed'])
          .describe('`waiting`: not sent yet; `passed`: it should be there, or is older than the forwarding'),
      }),
    ),
    repeated: z.array(z.object({ ...Named.shape, times: z.int() })).describe('Allowed: delivery is at least once'),
    different: z.array(z.object({ ...Named.shape, fields: z.array(z.string()) })),
    misplaced: z.array(Named).describe('Came for the first time after a later one'),
    unknown: z.array(z.object({ event_id: z.string().nullable(), event_type: z.string() })).describe('Not in the ledger'),
    found: z
      .object({ missing: Count, repeated: Count, different: Count, misplaced: Count, unknown: Count })
      .describe('How many of each; the lists name the first hundred'),
  })
  .meta({ id: 'TraceAudit' });
