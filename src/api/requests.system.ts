/** What happens to every request at the edge: it gets its place in a trace, a line in the log, and is counted. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { newSpanId, newTraceId } from '../kernel/ids.system.js';
import type { Log } from '../kernel/log.system.js';
import type { Metrics } from '../kernel/metrics.system.js';
import { readTrace, type Trace, traceparent } from '../kernel/trace.js';

/** Asked for all day long by machines. */
const QUIET = /^\/(metrics|docs|redoc|openapi\.json|v1\/health)(\/|$)/;
/** As nginx has it: the caller hung up before the answer was out. */
const HUNG_UP = 499;

/** Method and route template of a request. Its URL is the caller's and stands in no log. */
export const routeOf = (request: FastifyRequest) => ({ method: request.method, route: request.routeOptions.url ?? 'unknown' });

/**
 * Called once per request, as early as possible. Whatever the caller sent, `traceparent` is valid afterwards, with the request's own id as parent id;
 * the answer carries the same, so the caller has both ids under which the log knows his request.
 */
export function watchRequests(log: Log, metrics: Metrics): (request: FastifyRequest, reply: FastifyReply) => void {
  return (request, reply) => {
    const started = performance.now();
    const trace = continued(request.headers);
    const request_id = newSpanId();
    request.headers['traceparent'] = traceparent(trace, request_id);
    void reply.header('traceparent', request.headers['traceparent']);
    // Not Fastify's onResponse: it does not run when the caller hangs up.
    reply.raw.once('close', () => {
      const milliseconds = performance.now() - started;
      const { method, route } = routeOf(request);
      const status = reply.raw.writableFinished ? reply.raw.statusCode : HUNG_UP;
      const { problem } = reply;
      metrics.requested({ method, route, status, seconds: milliseconds / 1000, problem });
      const line = { method, route, status, code: problem, ms: Math.round(milliseconds * 10) / 10, request_id, trace_id: trace.id };
      if (QUIET.test(route)) log.debug(line, 'request');
      else log.info(line, 'request');
    });
  };
}

/** The caller's trace; a new one if there is none, and then what came as its state belongs to nothing. */
function continued(headers: FastifyRequest['headers']): Trace {
  const theirs = readTrace(headers['traceparent'], headers['tracestate']);
  if (theirs) return theirs;
  delete headers['tracestate'];
  return { id: newTraceId(), sampled: true };
}
