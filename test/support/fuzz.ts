/** Requests that an OpenAPI document describes, and many that it does not. */
import fc from 'fast-check';

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  items?: Schema;
  required?: string[];
  additionalProperties?: boolean | Schema;
  format?: string;
  pattern?: string;
  maxLength?: number;
  nullable?: boolean;
}

interface Operation {
  parameters?: { name: string; in: 'path' | 'query' | 'header'; schema?: Schema; required?: boolean }[];
  requestBody?: { content: Record<string, { schema?: Schema }> };
  responses: Record<string, { content?: Record<string, { examples?: Record<string, unknown> }> }>;
}

export interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | Buffer | undefined;
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

export const operations = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, operation]) => (METHODS.includes(method) ? [{ path, method, operation }] : [])),
  );

/** Values that broke somebody's server once. */
const ODD_TEXT = fc.constantFrom(
  '',
  ' ',
  '\u0000',
  '\ud800',
  '../..',
  '%00',
  '%',
  '"',
  "' OR 1=1--",
  '__proto__',
  'constructor',
  'null',
  '-1',
  '1e309',
  '9007199254740993',
  '{{7*7}}',
  '\u202e',
  'é'.repeat(200),
  'x'.repeat(3000),
  '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  '2026-02-30T00:00:00Z',
  '\r\nset-cookie: a=b',
);
const ODD: fc.Arbitrary<unknown> = fc.oneof(
  ODD_TEXT,
  fc.jsonValue(),
  fc.constantFrom<unknown>(null, true, 0, -0, -1, 1e21, Number.MAX_SAFE_INTEGER + 2, [], {}, [[]], [null]),
);
const ODD_BODY = fc.constantFrom<string | Buffer>(
  '',
  '{',
  '[',
  'null',
  '"',
  '{"a":1,"a":2}',
  '{"__proto__":{"admin":true},"session_id":"s","capability":"echo"}',
  '{"session_id":"\\ud800","capability":"echo"}',
  `${'['.repeat(10_000)}${']'.repeat(10_000)}`,
  '{"session_id":"s","capability":"echo","parameters":{"n":1e999}}',
  '{"session_id":"s","capability":"echo","parameters":{"n":9007199254740993}}',
  `{"session_id":"s","capability":"echo","parameters":{"t":"${'x'.repeat(1_100_000)}"}}`,
  Buffer.from([0xff, 0xfe, 0x7b]),
  Buffer.from('{"session_id":"\xff"}', 'latin1'),
);

const rarely = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: odd });

/** What the schema allows, most of the time. */
function fitting(schema: Schema | undefined, document: Document, depth = 0): fc.Arbitrary<unknown> {
  if (!schema || depth > 6) return fc.jsonValue({ maxDepth: 2 });
  if (schema.$ref) return fitting(document.components?.schemas?.[schema.$ref.split('/').at(-1)!], document, depth + 1);
  const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
  if (choices?.length) return fc.oneof(...choices.map((choice) => fitting(choice, document, depth + 1)));
  if (schema.const !== undefined) return rarely(fc.constant(schema.const), ODD);
  if (schema.enum) return rarely(fc.constantFrom(...schema.enum), ODD);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'string':
      return rarely(
        fc.oneof(
          fc.string({ maxLength: schema.maxLength ?? 40 }),
          fc.constantFrom('echo', 'uppercase', 'fuzz', 'agent_example_001', 'default'),
        ),
        ODD,
      );
    case 'number':
      return rarely(fc.double(), ODD);
    case 'integer':
      return rarely(fc.integer(), ODD);
    case 'boolean':
      return rarely(fc.boolean(), ODD);
    case 'array':
      return rarely(fc.array(fitting(schema.items, document, depth + 1), { maxLength: 4 }), ODD);
    case 'object': {
      const members = Object.entries(schema.properties ?? {}).map(
        ([name, member]) => [name, fitting(member, document, depth + 1)] as const,
      );
      const known = fc.record(Object.fromEntries(members), { requiredKeys: [] });
      const more = fc.dictionary(fc.oneof(fc.string({ maxLength: 12 }), ODD_TEXT), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 2 });
      return rarely(
        fc.oneof({ weight: 4, arbitrary: known }, { weight: 1, arbitrary: fc.tuple(known, more).map(([a, b]) => ({ ...a, ...b })) }),
        ODD,
      );
    }
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

const toText = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
/** Percent-encoded, though not always well. */
const encoded = (value: unknown) => {
  const text = toText(value).toWellFormed();
  return /^%[\w%]*$/.test(text) ? text : encodeURIComponent(text);
};

export function requestTo(
  { path, method, operation }: { path: string; method: string; operation: Operation },
  document: Document,
): fc.Arbitrary<FuzzRequest> {
  const parameters = operation.parameters ?? [];
  const of = (place: string) => parameters.filter((p) => p.in === place);
  const values = (place: string, requiredKeys: string[]) =>
    fc.record(Object.fromEntries(of(place).map((p) => [p.name, fitting(p.schema, document)])), { requiredKeys });
  const schema = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  const body = fc.oneof(
    { weight: 6, arbitrary: fitting(schema, document).map((value): string | Buffer => JSON.stringify(value) ?? '') },
    { weight: 2, arbitrary: ODD_BODY },
  );
  const headers = fc.record(
    {
      'content-type': fc.oneof(
        { weight: 8, arbitrary: fc.constant('application/json') },
        { weight: 1, arbitrary: fc.constantFrom('text/plain', '', 'application/json; charset=utf-7') },
      ),
      'idempotency-key': fc.string({ unit: fc.constantFrom('a', 'b', ' ', '~'), maxLength: 300 }).filter((s) => s === s.trim()),
      traceparent: fc.constantFrom(
        '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        'nonsense',
        '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
      ),
      authorization: fc.constantFrom('Bearer x', 'Basic eDp5'),
      accept: fc.constantFrom('*/*', 'application/json', 'text/html', 'nonsense'),
    },
    { requiredKeys: ['content-type'] },
  );
  return fc
    .record({
      inPath: values(
        'path',
        of('path').map((p) => p.name),
      ),
      query: values('query', []),
      more: fc.option(fc.tuple(ODD_TEXT, ODD_TEXT), { freq: 5 }),
      headers,
      body,
    })
    .map(({ inPath, query, more, headers: given, body: sent }) => {
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encoded(inPath[name]) || '%20');
      const pairs = [...Object.entries(query), ...(more ? [more] : [])].map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
      const hasBody = !['get', 'head', 'options'].includes(method);
      return {
        method: method.toUpperCase(),
        path: pairs.length > 0 ? `${filled}?${pairs.join('&')}` : filled,
        headers: given as Record<string, string>,
        body: hasBody ? sent : undefined,
      };
    });
}
