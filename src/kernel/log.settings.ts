import { z } from 'zod';

const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
const FORMATS = ['auto', 'json', 'pretty'] as const;

export const LogSettings = z.object({
  /** `info` writes lines for every request, `warn` none. */
  LOG_LEVEL: z.enum(LEVELS, `must be one of ${LEVELS.join(', ')}`).default('info'),
  /** One JSON object a line, or readable by people; `auto`: readable in a terminal. */
  LOG_FORMAT: z.enum(FORMATS, `must be one of ${FORMATS.join(', ')}`).default('auto'),
});

export type LogSettings = z.output<typeof LogSettings>;
