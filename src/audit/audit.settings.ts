import { z } from 'zod';

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400 };
const allowed = 'must be a time like 30m, 6h or 1d, at least 10s';

export const AuditSettings = z.object({
  /** How often the whole ledger is verified while it runs, in seconds. Unset: never. */
  VERIFY_INTERVAL: z
    .string()
    .regex(/^\d{1,6}[smhd]$/, allowed)
    .transform((text) => Number(text.slice(0, -1)) * UNITS[text.at(-1) as keyof typeof UNITS])
    .refine((seconds) => seconds >= 10, allowed)
    .optional(),
});

export type AuditSettings = z.output<typeof AuditSettings>;
