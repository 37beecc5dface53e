/** Every error that leaves the house: RFC 9457 problem+json with our `code`. What we did not foresee shows nothing of the inside. */
import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, OrchestratorError } from '../kernel/errors.js';
import { Log } from '../kernel/log.system.js';
import { readTrace } from '../kernel/trace.js';
import { isAway } from '../ledger/database.postgres.js';
import { EXAMPLE_DETAILS, type Problem } from './problem.schema.js';
import { routeOf } from './requests.system.js';

declare module 'fastify' {
  interface FastifyReply {
    /** Why it is an error, for the log and the count. */
    problem?: ErrorCode;
  }
}

const STATUS: Record<ErrorCode, number> = {
  invalid_json: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  not_published: 404,
  method_not_allowed: 405,
  payload_too_large: 413,
  unsupported_media_type: 415,
  session_closed: 409,
  session_busy: 409,
  key_conflict: 409,
  key_in_flight: 409,
  erased: 410,
  legal_hold: 409,
  integration_off: 409,
  agent_conflict: 409,
  address_refused: 422,
  agent_unreachable: 422,
  agent_not_understood: 422,
  ledger_unavailable: 503,
  issuer_unavailable: 503,
  integration_unavailable: 503,
  llm_unavailable: 503,
  overloaded: 429,
  shutting_down: 503,
  bad_configuration: 500,
  data_dir_locked: 500,
  migration_failed: 500,
  database_unfit: 500,
  internal: 500,
};

const PROBLEMS = Symbol('problems');

/** Of a body, before anybody looks at what it asks for. */
export const BAD_BODY = ['invalid_json', 'invalid_request', 'payload_too_large', 'unsupported_media_type'] as const;

/** Documents the problems a route can answer with; used twice, it adds. Every route can also meet a bug of ours. */
export function Problems(...more: ErrorCode[]): MethodDecorator {
  return (target, name, descriptor) => {
    const handler = descriptor.value as object;
    const codes = [...((Reflect.getMetadata(PROBLEMS, handler) as ErrorCode[] | undefined) ?? []), ...more];
    Reflect.defineMetadata(PROBLEMS, codes, handler);
    for (const status of new Set(codes.map((code) => STATUS[code]))) {
      const own = codes.filter((code) => STATUS[code] === status);
      const examples = Object.fromEntries(own.map((code) => [code, { value: { ...headOf(code), detail: EXAMPLE_DETAILS[code] } }]));
      const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' }, examples } };
      ApiResponse({ status, description: own.map((code) => `\`${code}\``).join(', '), content })(target, name, descriptor);
    }
  };
}

const headOf = (code: ErrorCode) => ({ type: 'about:blank' as const, title: code.replaceAll('_', ' '), status: STATUS[code], code });

@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Log) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(exception, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  answer(exception: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = asOurs(exception);
    if (error.retryAfter !== undefined) void reply.header('retry-after', String(error.retryAfter));
    const problem = this.problemOf(exception, request, reply);
    void reply.status(problem.status).type('application/problem+json').send(problem);
  }

  problemOf(exception: unknown, request: FastifyRequest, reply: FastifyReply): Problem {
    const error = asOurs(exception);
    reply.problem = error.code;
    const head = headOf(error.code);
    const inside = head.status === 500;
    if (inside)
      this.log.error(
        { err: exception, ...routeOf(request), trace_id: readTrace(request.headers['traceparent'], undefined)?.id },
        'request failed',
      );
    return {
      ...head,
      detail: inside ? 'something went wrong on our side; the log knows more' : error.message,
      ...(error.pointer !== undefined && { pointer: error.pointer }),
      ...(error.fields && { errors: error.fields }),
    };
  }
}

/** Errors of Nest and Fastify in our words. */
function asOurs(exception: unknown): OrchestratorError {
  if (exception instanceof OrchestratorError) return exception;
  if (isAway(exception)) {
    const message = `the database does not answer: ${(exception as Error).message}; try again`;
    return new OrchestratorError('ledger_unavailable', message, { cause: exception, retryAfter: 5 });
  }
  const status = exception instanceof HttpException ? exception.getStatus() : (exception as { statusCode?: unknown }).statusCode;
  const message = (exception as Error).message;
  switch (status) {
    case 400:
      return new OrchestratorError('invalid_request', message);
    case 404:
      return new OrchestratorError('not_found', `${message}: nothing is there; /docs shows what there is`);
    case 413:
      return new OrchestratorError('payload_too_large', `the request body is larger than ${MAX_BODY_BYTES} bytes`);
    case 414:
      return new OrchestratorError('invalid_request', 'a part of the path is longer than anything that is named by one');
    case 415:
      return new OrchestratorError('unsupported_media_type', 'send the body as content-type: application/json');
    default:
      return new OrchestratorError('internal', message, { cause: exception });
  }
}

export const MAX_BODY_BYTES = 1024 * 1024;

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { key: PropertyKey })[] | undefined;
  readonly keys?: string[];
}

/** Issues of a zod schema as one error that names every field. */
export function invalidFields(issues: readonly Issue[]): OrchestratorError {
  const fields = issues.flatMap(({ message, path, keys }) => {
    const place = (path ?? []).map((p) => String(typeof p === 'object' ? p.key : p));
    // zod reports members it does not know at the object around them.
    return keys
      ? keys.map((key) => ({ field: [...place, key].join('.'), message: 'is not known here' }))
      : [{ field: place.join('.'), message }];
  });
  const summary = fields.map((f) => (f.field ? `${f.field}: ${f.message}` : f.message)).join('; ');
  return new OrchestratorError('invalid_request', summary, { fields });
}
