import { z } from 'zod';
import { SessionId, Ulid } from './words.schema.js';

const Place = z.int().min(0);

export const ExportBody = z
  .strictObject({
    session_id: SessionId.optional().describe('Everything of this session'),
    contract_id: Ulid.optional().describe('This contract, by the id of either half'),
    from: Place.optional().describe('With `to`: all events between these places in the global order, both included'),
    to: Place.optional(),
    only: z
      .array(z.string().regex(/^[a-z_]{1,64}$/))
      .max(64)
      .optional()
      .describe('Names of the disclosures that are shown; absent: all'),
    prove_all: z.boolean().default(false).describe('A proof for every record, not only for those the others lead to'),
    known: z
      .array(Place.min(1))
      .max(16)
      .default([])
      .describe('Sizes of trees whose checkpoints you kept: proven to be the beginning of this one'),
  })
  .refine(
    ({ session_id, contract_id, from, to }) =>
      (from === undefined) === (to === undefined) && [session_id, contract_id, from].filter((one) => one !== undefined).length === 1,
    'exactly one of session_id, contract_id, and from with to says what is exported',
  )
  .meta({ id: 'ExportBody', examples: [{ session_id: 'first', only: ['result'] }] });
