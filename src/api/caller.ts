import type { Caller } from '../kernel/principal.js';

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** Who asks. Everybody is the default tenant while there is no authentication. */
export function callerOf(headers: Record<string, string | string[] | undefined>): Caller {
  const trace = TRACEPARENT.exec(String(headers['traceparent'] ?? ''))?.[1] ?? null;
  return { tenant: 'default', principal: null, trace: trace === '0'.repeat(32) ? null : trace };
}
