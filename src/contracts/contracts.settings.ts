import { z } from 'zod';
import { numberBetween } from '../kernel/setting.js';

export const ContractsSettings = z.object({
  /** A session in which nothing happened for so long is closed; the next task under its name opens a new stream. Unset: never. */
  SESSION_IDLE_MINUTES: numberBetween(0.01, 60 * 24 * 365).optional(),
});

export type ContractsSettings = z.output<typeof ContractsSettings>;
