import { z } from 'zod';
import { flag } from '../../kernel/setting.js';

const allowed = 'must be an http or https URL, or off';

export const MemAgentSettings = z.object({
  /** Blocks are passed on to the MemAgent there. */
  MEMAGENT_URL: z.union([z.literal('off'), z.url({ protocol: /^https?$/, error: allowed })], allowed).default('off'),
  /** Whether MemAgent is asked to compress by itself as well, at its own cost. */
  MEMAGENT_COMPRESS: flag().default(false),
});

export type MemAgentSettings = z.output<typeof MemAgentSettings>;
