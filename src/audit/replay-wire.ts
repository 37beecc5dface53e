/**
 * What a replay tells, as it goes: how far it is, what it replays and whether that verified, item after item what it found, in the end what
 * all of it comes to. A server tells the same, one JSON object a line.
 */
import { z } from 'zod';
import { decisionInputSchema, requestsReadSchema } from './replay-decisions.js';
import { lineSchema, recordedSchema } from './replay-history.js';
import { contractSchema, sessionSchema } from './replay-session.js';
import { type Source, sourceSchema } from './replay-source.js';
import { diffSchema, viewsSchema } from './replay-views.js';

const progressSchema = z.object({ step: z.enum(['verifying', 'replaying']), done: z.number(), total: z.number() });

export type Progress = z.infer<typeof progressSchema>;

/** One contract, with everything it discloses. */
export const LONGEST_LINE = 64 * 1024 * 1024;

/** After `source`, if that is not invalid: items, then the result. */
export type ReplayMessage<Item, Result> = Progress | { readonly source: Source } | { readonly item: Item } | { readonly result: Result };

const messagesOf = <I extends z.ZodType, R extends z.ZodType>(item: I, result: R) =>
  z.union([progressSchema, z.object({ source: sourceSchema }), z.object({ item }), z.object({ result })]);

export const REPLAYS = {
  views: messagesOf(diffSchema, viewsSchema),
  session: messagesOf(contractSchema, sessionSchema),
  record: messagesOf(lineSchema, recordedSchema),
  decisions: messagesOf(decisionInputSchema, requestsReadSchema),
};
export type ReplayKind = keyof typeof REPLAYS;
