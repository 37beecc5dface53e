import { z } from 'zod';
import { wholeNumber } from '../kernel/setting.js';

export const EraseSettings = z.object({
  /** Payload of sessions is erased when it is so old. Unset: it is kept. */
  RETENTION_DAYS: wholeNumber(1, 36_500).optional(),
});

export type EraseSettings = z.output<typeof EraseSettings>;
