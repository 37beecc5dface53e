/** Of the Messages API's answers what is used here. The SDK types them and checks nothing. */
import { z } from 'zod';

const count = z.number().int().nonnegative();

export const TokenCount = z.object({ input_tokens: count });

export const AnthropicAnswer = z.object({
  model: z.string().optional(),
  content: z.array(z.object({ type: z.string(), text: z.string().optional(), name: z.string().optional(), input: z.unknown().optional() })),
  stop_reason: z.string().nullable(),
  usage: z.object({
    input_tokens: count,
    output_tokens: count,
    cache_creation_input_tokens: count.nullish(),
    cache_read_input_tokens: count.nullish(),
  }),
});
