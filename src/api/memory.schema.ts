import { z } from 'zod';
import { ContractId, SessionId } from './orchestrate.schema.js';

export const CompressBody = z.strictObject({ session_id: SessionId, intent: z.string().max(4000).optional() });

export const CompressQuery = z.strictObject({ require: z.literal('llm', 'must be llm, or left out').optional() });

export const MemoryQuery = z
  .strictObject({
    at: z.union([ContractId, z.iso.datetime({ offset: true })], 'must be a time (ISO 8601) or the id of a memory block').optional(),
    all: z.enum(['true', 'false']).default('false'),
  })
  .refine(({ at, all }) => at === undefined || all === 'false', { error: 'ask for at or for all, not for both', path: ['all'] });

/** What an id of a block looks like, as opposed to a time. */
export const isBlockId = (at: string): boolean => ContractId.safeParse(at).success;
