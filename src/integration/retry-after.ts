/** A peer that asks for more is looked after sooner. */
const MOST_WAIT_MS = 5 * 60_000;

/** Of a Retry-After header (RFC 9110: seconds, or a date): milliseconds from `now`, five minutes at most; 0 without one. */
export function retryAfterMs(header: unknown, now: number): number {
  if (typeof header !== 'string') return 0;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(wait) ? Math.min(MOST_WAIT_MS, Math.max(0, wait)) : 0;
}
