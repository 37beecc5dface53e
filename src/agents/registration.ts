/** What is written down when an agent is registered, and whose it is. */
import { z } from 'zod';
import { AgentDescription } from './agent.js';

export const Endpoint = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(2000)
  .refine((url) => !/[@?#]/.test(url), 'must be a plain URL without user, password, query and fragment');

/** When an agent that fails is left alone; what is absent is as the settings say. */
export const BreakerSettings = z.strictObject({
  /** So many failures in a row open it. */
  failures: z.int().min(1).max(1000).optional(),
  /** So does this share of failures among the latest `window` calls. */
  share: z.number().gt(0).max(1).optional(),
  window: z.int().min(2).max(1000).optional(),
  /** After this long one call tries whether the agent is back. */
  pause_seconds: z.number().min(0.01).max(86_400).optional(),
  /** A call that was given less time than this, and ran out of it, says nothing about the agent. */
  patience_seconds: z.number().min(0).max(600).optional(),
});
export type BreakerSettings = z.output<typeof BreakerSettings>;

/** How much an agent is asked to do; none of it is said by the agent itself. */
export const AgentLimits = z.object({
  /** Its share of the work beside others that can do the same. */
  weight: z.number().min(0).max(1000).optional(),
  /** With this many calls under way it is busy: it gets no more from a process until one of them ends. */
  max_concurrency: z.int().min(1).max(100_000).optional(),
  /** So many tasks may wait for it while it is busy. */
  max_queue: z.int().min(0).max(100_000).optional(),
  breaker: BreakerSettings.optional(),
});
export type AgentLimits = z.output<typeof AgentLimits>;

export const Registration = AgentDescription.extend({
  protocol: z.string().min(1).max(40).default('http'),
  endpoint: Endpoint.optional(),
  ...AgentLimits.shape,
  /** It is offline when this long passes without a heartbeat. */
  lease_seconds: z.int().min(5).max(86_400).optional(),
});
export type Registration = z.output<typeof Registration>;

/** Where the description came from. Absent on the record for agents of the agents file. Payload: it may name a person. */
export interface Source {
  readonly by: 'api' | 'discovery';
  readonly tenant: string;
  readonly principal?: string;
  /** The address whose document was read. */
  readonly url?: string;
  readonly signature?: 'unsigned' | 'valid';
}

/** The document as it came; `data` byte for byte in this encoding. */
export interface KeptDocument {
  readonly media_type: string;
  readonly sha256: string;
  readonly encoding: 'utf-8' | 'base64';
  readonly data: string;
}
