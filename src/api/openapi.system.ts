/**
 * /openapi.json from the schemas and decorators of the controllers, with two pages that show it: Swagger UI at /docs, ReDoc at /redoc.
 * Both work without internet: everything they need is served from here, and their Content-Security-Policy lets the browser ask nobody else.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { CompressEvent } from './memory.schema.js';
import { OrchestrateEvent } from './orchestrate.schema.js';
import { PlanResult } from './plan.schema.js';
import { Problem } from './problem.schema.js';

/** redoc 2.5.4 as it is on npm; as a dependency it would bring React along. */
const REDOC = fileURLToPath(new URL('./redoc/redoc.standalone.js', import.meta.url));
/** The one thing ReDoc would load from elsewhere; without it, it shows none. */
const REDOC_LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';

const POLICY = [
  `default-src 'none'`,
  `script-src 'self'`,
  `style-src 'self' 'unsafe-inline'`,
  `img-src 'self' data:`,
  `font-src 'self' data:`,
  `connect-src 'self'`,
  `worker-src 'self' blob:`, // ReDoc's search
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
].join('; ');

const REDOC_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Agent Orchestrator: HTTP API</title>
    <style>body { margin: 0 }</style>
  </head>
  <body>
    <redoc spec-url="/openapi.json"></redoc>
    <script src="/redoc/redoc.standalone.js"></script>
  </body>
</html>
`;

const ABOUT = `Dispatcher and flight recorder for AI agents.

What was **recorded** answers 200, with \`success\` true or false. What was **not recorded** answers 4xx or 5xx with \`application/problem+json\` (RFC 9457):
switch on its \`code\`. A path that exists with another method answers 405 and names the right ones in \`Allow\`.`;

/** Call it before the application is initialised: these are routes like any other. The document is made when it is first asked for. */
export function serveApiDocs(app: NestFastifyApplication, version: string): void {
  const fastify: FastifyInstance = app.getHttpAdapter().getInstance();
  fastify.addHook('onRoute', (route) => {
    if (!/^\/(docs|redoc)(\/|$)/.test(route.url)) return;
    route.onSend = (_request, reply, payload, done) => {
      void reply.header('content-security-policy', POLICY).header('x-content-type-options', 'nosniff');
      done(null, payload);
    };
  });
  fastify.get('/redoc', (_request, reply) => reply.type('text/html; charset=utf-8').send(REDOC_PAGE));
  let script: Promise<string> | undefined;
  fastify.get('/redoc/redoc.standalone.js', async (_request, reply) => {
    script ??= readFile(REDOC, 'utf8').then((text) => text.replace(REDOC_LOGO, 'data:,'));
    return reply
      .type('text/javascript; charset=utf-8')
      .header('cache-control', 'max-age=86400')
      .send(await script);
  });
  SwaggerModule.setup('docs', app, () => apiDocument(app, version), {
    customSiteTitle: 'Agent Orchestrator: HTTP API',
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    swaggerOptions: { validatorUrl: null },
  });
}

function apiDocument(app: NestFastifyApplication, version: string): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Agent Orchestrator')
    .setDescription(ABOUT)
    .setVersion(version)
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Only with REQUIRE_AUTH=true' }, 'bearer')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .build();
  const operationIdFactory = (_controller: string, method: string) => method;
  const document = SwaggerModule.createDocument(app, config, {
    standardSchemaConverter: convert,
    operationIdFactory,
    autoTagControllers: false,
  });
  const named = [Problem, OrchestrateEvent, CompressEvent, PlanResult].map(referred);
  const schemas = Object.assign({}, ...named, document.components?.schemas);
  return { ...document, components: { ...document.components, schemas } };
}

/** Schemas to which content refers by name: Nest finds only those that are a whole answer or body. */
function referred(schema: z.ZodType): NonNullable<NonNullable<OpenAPIObject['components']>['schemas']> {
  const { components } = convert(schema, { schemaType: 'output' });
  return JSON.parse(JSON.stringify(components).replaceAll('"#/$defs/', '"#/components/schemas/'));
}

/** Schemas with an id become components. Answers are documented open, as clients must read them: members may be added. */
function convert(schema: unknown, { schemaType }: { schemaType: 'input' | 'output' }) {
  const {
    $defs,
    $schema: _,
    id,
    ...converted
  } = z.toJSONSchema(schema as z.ZodType, {
    io: schemaType,
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      if (schemaType === 'output' && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern; // it only repeats the format, over four lines
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  }) as Record<string, unknown> & { $defs?: Record<string, Record<string, unknown>>; id?: string };
  const components = Object.fromEntries(Object.entries($defs ?? {}).map(([name, { id: _id, ...component }]) => [name, component]));
  if (id === undefined) return { schema: converted, components };
  return { schema: { $ref: `#/$defs/${id}` }, components: { ...components, [id]: converted } };
}
