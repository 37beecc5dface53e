import { z } from 'zod';
import { numberBetween, wholeNumber } from '../../kernel/setting.js';

const traceUrl = z
  .url({ protocol: /^https?$/, error: 'must be off, or a URL like http://localhost:8787' })
  .refine((text) => !/[?#]/.test(text), 'must have no query and no fragment');

export const TraceSettings = z.object({
  /** Where the contracts are forwarded to. Unset or off: nowhere. */
  TRACE_URL: z.literal('off').or(traceUrl).optional(),
  /** How long one answer may take. */
  TRACE_TIMEOUT_SECONDS: numberBetween(0.1, 120).default(10),
  /** How often an event is tried that Trace refuses, before its session is parked. */
  TRACE_TRIES: wholeNumber(1, 100).default(5),
  /** The longest time between two looks at a Trace that is away, unless it asks for more. */
  TRACE_PAUSE_SECONDS: numberBetween(0.01, 3600).default(30),
});

export type TraceSettings = z.output<typeof TraceSettings>;
