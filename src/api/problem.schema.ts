import { z } from 'zod';

/** RFC 9457, with our `code`. */
export const Problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Never changes its meaning: switch on it'),
    detail: z.string().describe('What is wrong, with which value, and what to do'),
    pointer: z.string().optional().describe('JSON pointer to the place in the body'),
    errors: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .describe('One for each field that is wrong'),
  })
  .meta({
    id: 'Problem',
    description: 'Nothing was recorded, and this is why',
    examples: [{ type: 'about:blank', title: 'not found', status: 404, code: 'not_found', detail: 'there is no session "first"' }],
  });
