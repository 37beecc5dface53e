/** What is written down when an agent is registered, and whose it is. */
import { z } from 'zod';
import { AgentDescription } from './agent.js';

export const Endpoint = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(2000)
  .refine((url) => !/[@?#]/.test(url), 'must be a plain URL without user, password, query and fragment');

export const Registration = AgentDescription.extend({
  protocol: z.string().min(1).max(40).default('http'),
  endpoint: Endpoint.optional(),
  /** Its share of the work beside others that can do the same. */
  weight: z.number().min(0).max(1000).optional(),
  /** With this many calls under way it is busy. */
  max_concurrency: z.int().min(1).max(100_000).optional(),
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
