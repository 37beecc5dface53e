import { z } from 'zod';
import { SessionId } from './orchestrate.schema.js';

export const RetryParkedBody = z.strictObject({ session_id: SessionId.optional() }).optional();

export const ReplayBody = z
  .strictObject({ session_id: SessionId.optional(), from: z.int().min(0).optional() })
  .refine(
    (body) => (body.session_id === undefined) !== (body.from === undefined),
    'say session_id, or from with the idx of the first event',
  );

export const AuditQuery = z.strictObject({ session_id: SessionId });
