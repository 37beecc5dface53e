import { z } from 'zod';
import { numberBetween, wholeNumber } from '../kernel/setting.js';

export const ContractsSettings = z.object({
  /** Sessions that may be open at once, of all tenants together. Unset: any number. */
  MAX_CONCURRENT_AGENT_SESSIONS: wholeNumber(1, 100_000_000).optional(),
  /** A session in which nothing happened for so long is closed; the next task under its name opens a new stream. Unset: never. */
  AGENT_SESSION_TIMEOUT_MINUTES: numberBetween(0.01, 60 * 24 * 365).optional(),
});

export type ContractsSettings = z.output<typeof ContractsSettings>;
