import { z } from 'zod';

export const ContractsSettings = z.object({
  /** A session in which nothing happened for so long is closed; the next task under its name opens a new stream. Unset: never. */
  SESSION_IDLE_MINUTES: z.coerce
    .number()
    .min(0.01)
    .max(60 * 24 * 365)
    .optional(),
});

export type ContractsSettings = z.output<typeof ContractsSettings>;
