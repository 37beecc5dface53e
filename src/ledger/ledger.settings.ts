import { z } from 'zod';
import { wholeNumber } from '../kernel/setting.js';

export const LedgerSettings = z.object({
  /** PostgreSQL 15 or newer; unset: the embedded one. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a URL like postgres://user:password@host:5432/database' }).optional(),
  /** Connections to PostgreSQL per process. */
  DATABASE_POOL: wholeNumber(4, 100).default(10),
  /** Directory of the embedded database. */
  DATA_DIR: z.string().min(1).default('./data/ledger'),
  /** How long an Idempotency-Key is remembered. */
  IDEMPOTENCY_HOURS: wholeNumber(1, 24 * 365).default(24),
});

export type LedgerSettings = z.output<typeof LedgerSettings>;
