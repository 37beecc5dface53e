import { z } from 'zod';
import { SessionId } from './words.schema.js';

export const ReplayViewsBody = z
  .strictObject({
    apply: z.boolean().optional().describe('Puts the rebuilt rows in place of those that differ'),
    verify: z.boolean().optional().describe('false: the ledger is not verified before it is replayed'),
  })
  .optional()
  .meta({ id: 'ReplayViewsBody', examples: [{ apply: false }] });

export const ReplaySessionBody = z
  .strictObject({
    session_id: SessionId,
    at: z.string().max(40).optional().describe('As it was after this seq of its last stream, or at this time (ISO 8601 with zone)'),
  })
  .meta({ id: 'ReplaySessionBody', examples: [{ session_id: 'first', at: '2' }] });

export const ReplayRecordBody = z
  .strictObject({ session_id: SessionId })
  .meta({ id: 'ReplayRecordBody', examples: [{ session_id: 'first' }] });

export const ReplayDecisionsBody = z
  .strictObject({
    session_id: SessionId.optional().describe('Only this session'),
    since: z.iso.datetime({ offset: true }).optional().describe('Only what the ledger took in since then'),
    agents: z.enum(['now', 'then']).optional().describe('`now` unless told: as they are; `then`: as they were at each request'),
    recent: z.boolean().optional().describe('With what a language model would be shown of the session'),
    verify: z.boolean().optional().describe('false: the ledger is not verified before it is replayed'),
  })
  .optional()
  .meta({ id: 'ReplayDecisionsBody', examples: [{ since: '2026-11-21T00:00:00Z' }] });
