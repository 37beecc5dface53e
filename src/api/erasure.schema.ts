import { z } from 'zod';
import { SessionId, Time, Ulid } from './words.schema.js';

const Why = z
  .string()
  .min(1)
  .max(1000)
  .refine((text) => text.isWellFormed() && text.trim() !== '', 'must say something');

export const EraseBody = z
  .strictObject({
    contracts: z.array(Ulid).min(1).max(1000).optional().describe('Only these contracts, by the id of either half; without it all of them'),
    fields: z
      .array(z.string().regex(/^[a-z_]{1,64}$/, 'must be the name of a disclosure, as docs/ledger.md lists them'))
      .min(1)
      .max(32)
      .optional()
      .describe('Only these disclosures, as `parameters`, `result`; without it everything but the name of the session'),
    basis: Why.describe('On which ground: recorded, and shown wherever something is missing').meta({ examples: ['GDPR Art. 17'] }),
    requested_by: Why.describe('Who wants it, as a reference to a request or a person').meta({ examples: ['ticket 4711'] }),
  })
  .meta({ id: 'EraseBody' });

export const EraseQuery = z.strictObject({
  cancel: z.enum(['true', 'false']).default('false').describe('Of a whole session: end what is still open as `cancelled` first'),
});

export const Erased = z
  .object({
    session_id: z.string(),
    whole: z.boolean().describe('The whole session: its payload, its name and its keys. It is closed'),
    erasures: z.array(Ulid).readonly().describe('The `payload.erased` events; none: nothing of it was left'),
    events: z.int().min(0).describe('That lost payload now'),
    memory_blocks: z.array(Ulid).readonly().describe('Erased too: they may have quoted it. The next compression makes new ones'),
    keys_destroyed: z.array(Ulid).readonly(),
    left_of_tasks: z
      .array(Ulid)
      .readonly()
      .describe('Contracts of the same tasks that were not named and keep theirs: further attempts with the same parameters, for example'),
    told: z.array(z.string()).readonly().describe('Peers that have copies and are told, now or when they can be reached'),
    out_of_reach: z.array(z.string()).readonly().describe('Where copies may be that nobody here can erase'),
  })
  .meta({ id: 'Erased' });

export const HoldBody = z
  .strictObject({
    session_id: SessionId.optional().describe('Without it everything of the tenant is held'),
    reason: Why,
    requested_by: Why,
  })
  .meta({ id: 'HoldBody' });

export const Hold = z
  .object({
    hold_id: Ulid,
    placed_at: Time,
    session_id: z.string().nullable().describe('Null: everything of the tenant'),
    streams: z.array(z.string()).readonly().nullable(),
    reason: z.string().nullable(),
    requested_by: z.string().nullable(),
  })
  .meta({ id: 'Hold' });

export const Holds = z.object({ holds: z.array(Hold) }).meta({ id: 'Holds' });

export const HoldId = Ulid.describe('The id of the hold');

export const ReleaseBody = z.strictObject({ reason: Why, requested_by: Why }).meta({ id: 'ReleaseHoldBody' });

export const HoldReleased = z.object({ hold_id: Ulid, released_at: Time }).meta({ id: 'HoldReleased' });
