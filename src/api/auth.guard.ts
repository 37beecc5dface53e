/** Lets in who carries a token that allows what he asks for. A handler without a word about it lets nobody in while authentication is on. */
import { applyDecorators, type CanActivate, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import { ApiSecurity } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller, Scope, TokenVerifier } from '../kernel/principal.js';
import { readTrace } from '../kernel/trace.js';
import { Problems } from './problem.filter.js';

type Asking = FastifyRequest & { caller?: Caller };

/** Who asks, as the guard found out. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  return context.switchToHttp().getRequest<Asking>().caller!;
});

const NEEDS = Symbol('needs');

/** The scope a token must have for this handler. */
export const Needs = (scope: Scope) =>
  applyDecorators(SetMetadata(NEEDS, scope), ApiSecurity('bearer', [scope]), Problems('unauthorized', 'forbidden', 'issuer_unavailable'));
/** Anybody may ask, with or without a token. */
export const OpenToAll = () => SetMetadata(NEEDS, 'nothing');

const BEARER = /^Bearer +([^\s]+)$/i;

export class AuthGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    /** null: authentication is off, everybody is the default tenant. */
    private readonly tokens: TokenVerifier | null,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<Asking>();
    const trace = readTrace(request.headers['traceparent'], request.headers['tracestate']);
    const needed = this.reflector.getAllAndOverride<Scope | 'nothing' | undefined>(NEEDS, [context.getHandler(), context.getClass()]);
    if (this.tokens && needed !== 'nothing') return this.admit(this.tokens, context, { needed, trace });
    request.caller = { tenant: 'default', principal: null, trace };
    return true;
  }

  private async admit(
    tokens: TokenVerifier,
    context: ExecutionContext,
    { needed, trace }: { needed: Scope | undefined; trace: Caller['trace'] },
  ): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<Asking>();
    try {
      const { tenant, principal, scopes } = await tokens.verify(tokenOf(request.headers.authorization));
      if (needed === undefined || !scopes.has(needed)) {
        const has = scopes.size > 0 ? `it has ${[...scopes].sort().join(', ')}` : 'it has none';
        throw new OrchestratorError('forbidden', `this needs a token with the scope ${needed}; ${has}`);
      }
      request.caller = { tenant, principal, trace };
      return true;
    } catch (error) {
      const challenge = challengeOf(error, needed);
      if (challenge) void http.getResponse<FastifyReply>().header('www-authenticate', challenge);
      throw error;
    }
  }
}

function tokenOf(header: string | undefined): string {
  if (header === undefined) throw new OrchestratorError('unauthorized', 'send a token: authorization: Bearer <JWT>');
  const token = BEARER.exec(header)?.[1];
  if (token === undefined) throw new OrchestratorError('unauthorized', 'the authorization header must read: Bearer <JWT>');
  return token;
}

/** RFC 6750 section 3. */
function challengeOf(error: unknown, needed: string | undefined): string | null {
  if (!(error instanceof OrchestratorError)) return null;
  const realm = 'Bearer realm="agent-orchestrator"';
  if (error.code === 'forbidden') return `${realm}, error="insufficient_scope", scope="${needed ?? ''}"`;
  if (error.code !== 'unauthorized') return null;
  return error.message.startsWith('the token') ? `${realm}, error="invalid_token"` : realm;
}
