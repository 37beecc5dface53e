const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** The trace the caller's request belongs to, if it says so. */
export function traceOf(headers: Record<string, string | string[] | undefined>): string | null {
  const trace = TRACEPARENT.exec(String(headers['traceparent'] ?? ''))?.[1] ?? null;
  return trace === '0'.repeat(32) ? null : trace;
}
