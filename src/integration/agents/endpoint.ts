import { z } from 'zod';

/** The address of an agent in data/agents.json. */
export const Endpoint = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .refine((url) => !/[@?#]/.test(url), 'must be a plain URL without user, password, query and fragment');
