/** What is replayed: a part of the ledger, and whether it holds. */
import { z } from 'zod';

export const sourceSchema = z.looseObject({
  /** `not checked`: the caller would not wait for it. */
  verdict: z.enum(['valid', 'invalid', 'diverged', 'incomplete', 'not checked']),
  /** What is wrong with it, in words. */
  first: z.string().nullable(),
  /** Events that were verified. */
  events: z.number(),
  /** Events of the whole ledger that have their place, and the hash of the last of them. */
  size: z.number(),
  head: z.string().nullable(),
  /** The newest signed checkpoint, as it was signed; null: there is none. */
  checkpoint: z.string().nullable(),
});
export type Source = z.infer<typeof sourceSchema>;

/** Nothing is replayed of it. */
export const isBroken = ({ verdict }: Source): boolean => verdict === 'invalid' || verdict === 'diverged';
