import { z } from 'zod';
import { Cursor, Limit, NextCursor, Receipt, Time } from './words.schema.js';

export const SessionsQuery = z.strictObject({ limit: Limit, cursor: Cursor });

export const CloseQuery = z.strictObject({
  cancel: z.enum(['true', 'false']).default('false').describe('End what is still open as `cancelled` first'),
});

export const SessionItem = z
  .object({
    session_id: z.string(),
    stream: z.string().describe('Where the next event goes, unless the session is closed'),
    state: z.enum(['open', 'closed']),
    close_reason: z.enum(['requested', 'idle']).nullable().describe('After `idle` the next task under its name opens it again'),
    events: z.int().min(1).describe('Recorded in all of its streams'),
    open_requests: z.int().min(0),
    created_at: Time,
    last_event_at: Time,
    closed_at: Time.nullable(),
    earlier_streams: z.array(z.string()).describe('Streams that idleness closed, oldest first'),
  })
  .meta({ id: 'Session' });

export const SessionsPage = z.object({ sessions: z.array(SessionItem), next_cursor: NextCursor }).meta({ id: 'SessionsPage' });

export const SessionClosed = z
  .object({ session_id: z.string(), closed: z.literal(true), receipt: Receipt.describe('Of the seal') })
  .meta({ id: 'SessionClosed' });
