import { z } from 'zod';
import { wholeNumber } from '../kernel/setting.js';

export const CheckpointSettings = z.object({
  /** Shortest time between two checkpoints. 0: none are signed. */
  CHECKPOINT_INTERVAL_MS: wholeNumber(0, 24 * 3600 * 1000).default(1000),
  /** Where the newest checkpoint is kept outside the database, so that a database that was set back is found out. Unset: nowhere. */
  CHECKPOINT_DIR: z.string().min(1).optional(),
  /** File with the keys that sign. Unset: log.key in DATA_DIR, made when there is none. */
  LOG_KEY_FILE: z.string().min(1).optional(),
  /** Name of the log. Unset: the name of its key. Another one than before begins a new log. */
  LOG_ORIGIN: z
    .string()
    .regex(/^[^\p{White_Space}\p{Cc}+]+$/u, 'must be a name without spaces and plus signs, like example.com/log')
    .max(200)
    .optional(),
  /** Who may read the records themselves under /log/tile/entries, those of all tenants. */
  LOG_ENTRIES: z.enum(['off', 'operator', 'public'], 'must be one of off, operator, public').default('off'),
});

export type CheckpointSettings = z.output<typeof CheckpointSettings>;
