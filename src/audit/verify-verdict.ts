/** A verdict as it is told: its checks by the steps of an audit, the findings, and what is open or erased. */
import { z } from 'zod';

/** Step of docs/audit.md -> its checks, in the order in which they are told. */
export const STEPS = {
  'canonical bytes': 1,
  'record rules': 1,
  columns: 1,
  'record hash': 2,
  chain: 3,
  'stream heads': 3,
  lifecycle: 4,
  'open requests': 4,
  tree: 5,
  checkpoints: 6,
  'known checkpoints': 7,
  leaves: 8,
  sequence: 8,
  'payload digests': 9,
  sessions: 10,
  'session completeness': 10,
} as const;
export type CheckName = keyof typeof STEPS;
export const CHECKS = Object.keys(STEPS) as CheckName[];

/** Where in the ledger. `seq` and `idx` are approximate when damage took them beyond 2^53; the text of the finding is exact. */
const placeSchema = z.object({
  event_id: z.string().nullable(),
  stream: z.string().nullable(),
  seq: z.number().nullable(),
  idx: z.number().optional(),
});
export type Place = z.infer<typeof placeSchema>;

const findingSchema = placeSchema.extend({
  check: z.string(),
  /**
   * Diverged: what is here holds, and contradicts a checkpoint somebody kept. Incomplete: something is missing and nothing explains it, but
   * what is there holds.
   */
  severity: z.enum(['invalid', 'diverged', 'incomplete']),
  what: z.string(),
});
export type Finding = z.infer<typeof findingSchema>;

const checkResultSchema = z.object({
  step: z.number().optional(),
  name: z.string(),
  result: z.enum(['pass', 'fail', 'not checked']),
  /** How many things were looked at. */
  count: z.number(),
  note: z.string().optional(),
});
export type CheckResult = z.infer<typeof checkResultSchema>;

/** What one payload.erased event explains of what is missing. */
const erasedSchema = z.object({
  erasure: z.string(),
  /** As it was given; null: it cannot be read any more. */
  basis: z.string().nullable(),
  events: z.number(),
});
export type Erased = z.infer<typeof erasedSchema>;

export const verdictSchema = z.looseObject({
  verdict: z.enum(['valid', 'invalid', 'diverged', 'incomplete']),
  scope: z.enum(['ledger', 'session', 'range', 'bundle']),
  /** Something from outside, a key or a checkpoint that was kept, vouches for all of it. */
  anchored: z.boolean().default(false),
  checks: z.array(checkResultSchema),
  /** The first bad event on the way through the ledger, of the severity that decides the verdict. */
  first: findingSchema.nullable(),
  /** The first hundred, and the first of every check. */
  findings: z.array(findingSchema),
  found: z.number(),
  events: z.number(),
  streams: z.number(),
  /** REQUESTs without a RESPONSE. Normal while agents work. */
  open: z.object({ count: z.number(), first: z.array(placeSchema) }),
  /** Events whose payload is gone, and why: the first hundred erasures. */
  erased: z.object({ events: z.number(), by: z.array(erasedSchema) }),
});
export type Verdict = z.infer<typeof verdictSchema>;
