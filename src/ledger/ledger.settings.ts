import { z } from 'zod';
import { wholeNumber } from '../kernel/setting.js';

const ONE_KEY = '(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?)';

export const LedgerSettings = z.object({
  /** PostgreSQL 15 or newer; unset: the embedded one. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a URL like postgres://user:password@host:5432/database' }).optional(),
  /** Connections to PostgreSQL per process. */
  DATABASE_POOL: wholeNumber(4, 100).default(10),
  /** Directory of the embedded database. */
  DATA_DIR: z.string().min(1).default('./data/ledger'),
  /** How long an Idempotency-Key is remembered. */
  IDEMPOTENCY_HOURS: wholeNumber(1, 24 * 365).default(24),
  /** 32 bytes that wrap the keys of the payload; several, separated by commas: the first one wraps, all of them unwrap. Unset: MASTER_KEY_FILE. */
  MASTER_KEY: z
    .string()
    .regex(new RegExp(`^(?:off|${ONE_KEY}(?:,${ONE_KEY})*)$`), 'must be 32 bytes in base64 or hex, several separated by commas, or off')
    .optional(),
  /** Unset: DATA_DIR with .key behind it. The first start makes it. */
  MASTER_KEY_FILE: z.string().min(1).optional(),
});

export type LedgerSettings = z.output<typeof LedgerSettings>;
