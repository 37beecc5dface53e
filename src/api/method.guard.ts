/** A path that exists, asked with a method it does not have: 405 with the ones it has, rather than 404. */
import type { FastifyInstance } from 'fastify';
import { OrchestratorError } from '../kernel/errors.js';

/** Call it before the first route is registered. */
export function guardMethods(fastify: FastifyInstance): void {
  const routes: { method: string; parts: string[] }[] = [];
  fastify.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) routes.push({ method: each, parts: url.split('/') });
  });
  fastify.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    const asked = request.url.split('?', 1)[0]!.split('/');
    const fits = ({ parts }: { parts: string[] }) =>
      (parts.length === asked.length || (parts.at(-1) === '*' && parts.length < asked.length)) &&
      parts.every((part, i) => part === '*' || part === asked[i] || (part.startsWith(':') && asked[i] !== ''));
    const allowed = [...new Set(routes.filter(fits).map((route) => route.method))];
    if (allowed.length === 0) return done();
    void reply.header('allow', allowed.join(', '));
    done(new OrchestratorError('method_not_allowed', `${request.method} is not possible here, only ${allowed.join(', ')}`));
  });
}
