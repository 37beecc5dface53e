import type { Caller } from '../kernel/principal.js';
import { readTrace } from '../kernel/trace.js';

/** Who asks. Everybody is the default tenant while there is no authentication. */
export function callerOf(headers: Record<string, string | string[] | undefined>): Caller {
  return { tenant: 'default', principal: null, trace: readTrace(headers['traceparent'], headers['tracestate']) };
}
