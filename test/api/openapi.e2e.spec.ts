/** What /openapi.json says is what the running orchestrator does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { fullFormats } from 'ajv-formats/dist/formats.js';
import { follow } from '../support/events.js';
import { type Body, running, settled } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';

const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };

type Json = Record<string, unknown>;
interface Content {
  schema: Json;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}
interface Operation {
  summary?: string;
  tags?: string[];
  security?: object[];
  parameters: { name: string; in: string; description?: string; required: boolean; schema: Json }[];
  requestBody?: { required: boolean; content: Record<string, Content> };
  responses: Record<string, { description: string; content: Record<string, Content> }>;
}
interface Document {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json> };
}

const WITH_BODY = [
  'POST /v1/agents',
  'POST /v1/agents/refresh',
  'POST /v1/agents/register',
  'POST /v1/agents/{id}/heartbeat',
  'POST /v1/compress',
  'POST /v1/export',
  'POST /v1/holds',
  'POST /v1/holds/{id}/release',
  'POST /v1/memagent/retry-parked',
  'POST /v1/orchestrate',
  'POST /v1/replay/decisions',
  'POST /v1/replay/record',
  'POST /v1/replay/session',
  'POST /v1/replay/views',
  'POST /v1/route',
  'POST /v1/sessions/{id}/erase',
  'POST /v1/trace/audit',
  'POST /v1/trace/replay',
  'POST /v1/trace/retry-parked',
  'POST /v1/verify',
  'PUT /v1/agents/{id}',
];

const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';

/** Every object closed: an answer with a member that is not documented does not pass. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, key === 'example' || key === 'enum' ? value : closed(value)]),
  );
  return 'properties' in inner && !('additionalProperties' in inner) ? { ...inner, additionalProperties: false } : inner;
}

describe('/openapi.json', () => {
  const ao = running(anyPlace);
  let document: Document;
  let operations: [string, Operation][];
  let misfits: (schema: Json, value: unknown) => unknown;

  beforeAll(async () => {
    const { status, body, headers } = await ao.get('/openapi.json');
    expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^application\/json/)]);
    document = body as Document;
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method.toUpperCase()} ${path}`, operation]),
    );
    const ajv = new Ajv2020({ strict: false, allErrors: true, formats: fullFormats });
    ajv.addSchema({ $id: 'doc', components: closed(document.components) as Json });
    misfits = (schema, value) => {
      const validate = ajv.compile(JSON.parse(JSON.stringify(closed(schema)).replaceAll('"#/components', '"doc#/components')) as Json);
      return validate(value) ? [] : validate.errors;
    };
  });

  const answerOf = (route: string, status: number, type = JSON_TYPE) =>
    operations.find(([name]) => name === route)![1].responses[status]!.content[type]!.schema;

  it('has every route of this version, and nothing else', () => {
    expect([document.openapi, document.info.version]).toEqual(['3.1.0', version]);
    expect(operations.map(([name]) => name).sort()).toEqual([
      'DELETE /v1/agents/{id}',
      'DELETE /v1/tasks/{id}',
      'GET /metrics',
      'GET /v1/agents',
      'GET /v1/agents/health',
      'GET /v1/agents/{id}',
      'GET /v1/agents/{id}/metrics',
      'GET /v1/capabilities',
      'GET /v1/contracts',
      'GET /v1/contracts/{id}',
      'GET /v1/contracts/{id}/explain',
      'GET /v1/contracts/{id}/proof',
      'GET /v1/health',
      'GET /v1/health/live',
      'GET /v1/health/ready',
      'GET /v1/holds',
      'GET /v1/log',
      'GET /v1/log/checkpoint',
      'GET /v1/log/proof/consistency',
      'GET /v1/log/proof/inclusion',
      'GET /v1/sessions',
      'GET /v1/sessions/{id}',
      'GET /v1/sessions/{id}/memory',
      'GET /v1/status',
      'GET /v1/tasks/{id}',
      'GET /v1/trace',
      'POST /v1/agents',
      'POST /v1/agents/refresh',
      'POST /v1/agents/register',
      'POST /v1/agents/{id}/heartbeat',
      'POST /v1/agents/{id}/start',
      'POST /v1/agents/{id}/stop',
      'POST /v1/compress',
      'POST /v1/export',
      'POST /v1/holds',
      'POST /v1/holds/{id}/release',
      'POST /v1/memagent/retry-parked',
      'POST /v1/orchestrate',
      'POST /v1/replay/decisions',
      'POST /v1/replay/record',
      'POST /v1/replay/session',
      'POST /v1/replay/views',
      'POST /v1/route',
      'POST /v1/sessions/{id}/close',
      'POST /v1/sessions/{id}/erase',
      'POST /v1/trace/audit',
      'POST /v1/trace/replay',
      'POST /v1/trace/retry-parked',
      'POST /v1/verify',
      'PUT /v1/agents/{id}',
    ]);
  });

  it('every route has a summary, a tag, described parameters, an answer with a schema, and the problems it can meet', () => {
    for (const [name, { summary, tags, security, parameters, requestBody, responses }] of operations) {
      const open = name.startsWith('GET /v1/health');
      expect([name, summary, tags?.length]).toEqual([name, expect.stringMatching(/\w+ \w+/), 1]);
      expect([name, security?.length ?? 0]).toEqual([name, open ? 0 : 1]);
      expect([name, '401' in responses, '403' in responses]).toEqual([name, !open, !open]);
      for (const parameter of parameters) {
        expect([name, parameter]).toEqual([
          name,
          expect.objectContaining({ description: expect.stringMatching(/\w/), schema: expect.any(Object) }),
        ]);
      }
      expect([name, parameters.filter((p) => p.in === 'path').map((p) => `{${p.name}}`)]).toEqual([name, name.match(/\{\w+\}/g) ?? []]);
      expect([name, requestBody !== undefined]).toEqual([name, WITH_BODY.includes(name)]);
      for (const { schema } of Object.values(requestBody?.content ?? {})) expect(schema['$ref']).toMatch(/Body$/);
      for (const [status, { description, content }] of Object.entries(responses)) {
        expect([name, status, description]).toEqual([name, status, expect.stringMatching(/\w/)]);
        if (status === '200') expect([name, Object.values(content)[0]!.schema]).toEqual([name, expect.any(Object)]);
        else expect([name, status, content[PROBLEM_TYPE]!.schema]).toEqual([name, status, { $ref: '#/components/schemas/Problem' }]);
      }
    }
  });

  it('every reference leads somewhere, and every component is used', () => {
    const refs = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
    expect([...new Set(refs)].sort()).toEqual(Object.keys(document.components.schemas).sort());
  });

  it('every example fits its schema, and every request that is shown works', async () => {
    let seen = 0;
    const check = (schema: Json, value: unknown) => {
      seen += 1;
      expect([value, misfits(schema, value)]).toEqual([value, []]);
    };
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      if ('example' in schema) check({ $ref: `#/components/schemas/${name}` }, schema['example']);
    }
    for (const [, { parameters, responses }] of operations) {
      for (const { schema } of parameters) if ('example' in schema) check(schema, schema['example']);
      for (const { content } of Object.values(responses)) {
        for (const { schema, examples } of Object.values(content))
          for (const { value } of Object.values(examples ?? {})) check(schema, value);
      }
    }
    expect(seen).toBeGreaterThan(50);
    const { example } = document.components.schemas['OrchestrateBody'] as { example: Body };
    expect(await ao.orchestrate(example)).toMatchObject({ success: true, data: { message: 'Echo: Hello, world!' } });
    await ao.post('/v1/route', (document.components.schemas['RouteBody'] as { example: Body }).example).expect(200);
    await ao.post('/v1/verify', (document.components.schemas['VerifyBody'] as { example: Body }).example).expect(200);
  });

  it('every 200 is as documented, and has no member that is not', async () => {
    const one = await ao.orchestrate({
      session_id: 's',
      capability: 'mirrors',
      parameters: { a: [1, null] },
      context: { b: 1 },
      intent: 'why',
    });
    const failed = await ao.orchestrate({ session_id: 's', capability: 'answers-text' });
    const nobody = await ao.orchestrate({ session_id: 't', agent_id: 'nobody' });
    const plan = {
      mode: 'parallel',
      steps: [{ capability: 'echo' }, { plan: { mode: 'sequential', steps: [{ capability: 'refuses' }] } }],
    };
    const planned = await ao.orchestrate({ session_id: 't', plan });
    expect(misfits({ $ref: '#/components/schemas/PlanResult' }, planned.data)).toEqual([]);
    const cancelled = await fetch(`${ao.server.url}/v1/tasks/${planned.task_id}`, { method: 'DELETE' });
    expect(misfits(answerOf('DELETE /v1/tasks/{id}', 200), await cancelled.json())).toEqual([]);
    const closedNow = await ao.post('/v1/sessions/s/close').expect(200);
    const { body: published } = await ao
      .post('/v1/orchestrate?wait=published', { session_id: 'published', capability: 'echo', parameters: { text: 'x' } })
      .expect(200);
    expect(published).toMatchObject({ published: { index: expect.any(Number), tree_size: expect.any(Number) } });
    for (const answer of [one, failed, nobody, planned, published])
      expect(misfits(answerOf('POST /v1/orchestrate', 200), answer)).toEqual([]);
    expect(misfits(answerOf('POST /v1/sessions/{id}/close', 200), closedNow.body)).toEqual([]);
    for (const wish of [{ message: 'put it into capital letters' }, { message: 'paint my house' }, { capability: 'nobody-offers-this' }]) {
      const { body } = await ao.post('/v1/route', wish).expect(200);
      expect(misfits(answerOf('POST /v1/route', 200), body)).toEqual([]);
    }
    for (const _ of [1, 2]) {
      const compressed = await ao.post('/v1/compress', { session_id: 's' }).expect(200);
      expect(misfits(answerOf('POST /v1/compress', 200), compressed.body)).toEqual([]);
    }
    const told = await fetch(`${ao.server.url}/v1/compress`, {
      method: 'POST',
      headers: { 'content-type': JSON_TYPE, accept: 'text/event-stream' },
      body: JSON.stringify({ session_id: 's' }),
    });
    const events = [...(await told.text()).matchAll(/^event: (\w+)\ndata: (.+)$/gm)].map(([, event, data]) => ({
      event,
      data: JSON.parse(data!),
    }));
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { status: 'ok' } });
    for (const event of events) expect(misfits(answerOf('POST /v1/compress', 200, 'text/event-stream'), event)).toEqual([]);
    const why = { basis: 'asked for', requested_by: 'ticket 4711' };
    const erased = await ao.post('/v1/sessions/t/erase', { ...why, contracts: [nobody.contract_id] }).expect(200);
    expect(misfits(answerOf('POST /v1/sessions/{id}/erase', 200), erased.body)).toEqual([]);
    for (const over of [{ session_id: 's' }, {}]) {
      const held = { ...over, reason: 'case 12/26', requested_by: 'legal' };
      const hold = await ao.post('/v1/holds', held).expect(200);
      expect(misfits(answerOf('POST /v1/holds', 200), hold.body)).toEqual([]);
      const released = await ao.post(`/v1/holds/${hold.body.hold_id}/release`, { reason: 'closed', requested_by: 'legal' }).expect(200);
      expect(misfits(answerOf('POST /v1/holds/{id}/release', 200), released.body)).toEqual([]);
      await ao.post('/v1/holds', held).expect(200);
    }
    await settled(ao.db);
    const asked: [string, string][] = [
      ['GET /v1/contracts', '/v1/contracts'],
      ['GET /v1/contracts', '/v1/contracts?limit=1'],
      ['GET /v1/contracts', '/v1/contracts?session_id=s'],
      ['GET /v1/contracts/{id}', `/v1/contracts/${one.contract_id}`],
      ['GET /v1/contracts/{id}', `/v1/contracts/${nobody.contract_id}`],
      ['GET /v1/tasks/{id}', `/v1/tasks/${one.task_id}`],
      ['GET /v1/tasks/{id}', `/v1/tasks/${planned.task_id}`],
      ['GET /v1/contracts/{id}/explain', `/v1/contracts/${one.contract_id}/explain`],
      ['GET /v1/contracts/{id}/explain', `/v1/contracts/${nobody.contract_id}/explain`],
      ['GET /v1/holds', '/v1/holds'],
      ['GET /v1/sessions', '/v1/sessions'],
      ['GET /v1/sessions', '/v1/sessions?limit=1'],
      ['GET /v1/sessions/{id}', '/v1/sessions/s'],
      ['GET /v1/sessions/{id}', '/v1/sessions/t'],
      ['GET /v1/sessions/{id}/memory', '/v1/sessions/s/memory'],
      ['GET /v1/sessions/{id}/memory', '/v1/sessions/s/memory?all=true'],
      ['GET /v1/sessions/{id}/memory', '/v1/sessions/t/memory'],
      ['GET /v1/agents', '/v1/agents'],
      ['GET /v1/agents/{id}', '/v1/agents/agent_example_001'],
      ['GET /v1/agents/{id}', '/v1/agents/moody'],
      ['GET /v1/agents/{id}', '/v1/agents/moody?at=0'],
      ['GET /v1/agents/{id}/metrics', '/v1/agents/moody/metrics'],
      ['GET /v1/agents/health', '/v1/agents/health'],
      ['GET /v1/capabilities', '/v1/capabilities'],
      ['GET /v1/health', '/v1/health'],
      ['GET /v1/health/live', '/v1/health/live'],
      ['GET /v1/health/ready', '/v1/health/ready'],
      ['GET /v1/status', '/v1/status'],
      ['GET /v1/log', '/v1/log'],
      ['GET /v1/log/proof/inclusion', `/v1/log/proof/inclusion?contract=${one.contract_id}`],
      ['GET /v1/log/proof/consistency', '/v1/log/proof/consistency?from=1'],
      ['GET /v1/trace', '/v1/trace'],
    ];
    for (const [route, path] of asked) {
      const { status, body } = await ao.get(path);
      expect([path, status, misfits(answerOf(route, 200), body)]).toEqual([path, 200, []]);
      expect([path, misfits(answerOf(route, 200), { ...body, undocumented: 1 })]).not.toEqual([path, []]);
    }
    const texts: [string, string][] = [
      ['GET /v1/contracts/{id}/proof', `/v1/contracts/${one.contract_id}/proof`],
      ['GET /v1/log/checkpoint', '/v1/log/checkpoint'],
    ];
    for (const [route, path] of texts) {
      const { status, headers, text } = await ao.get(path);
      expect([path, status, headers['content-type']]).toEqual([path, 200, 'text/plain; charset=utf-8']);
      expect([path, misfits(answerOf(route, 200, 'text/plain'), text)]).toEqual([path, []]);
    }
    const all = [...asked, ...texts].map(([route]) => route);
    const never = operations.map(([name]) => name).filter((name) => name.startsWith('GET /v1') && !all.includes(name));
    expect(never).toEqual([]);
  });

  it('every event of a task that is followed is as documented, and has no member that is not', async () => {
    const schema = answerOf('POST /v1/orchestrate', 200, 'text/event-stream');
    const pieces = ['x'.repeat(300 * 1024), 'y'];
    const { events } = await follow(ao.server.url, { session_id: 'events', capability: 'tells', parameters: { pieces } });
    expect(events.map((e) => e.event)).toEqual(['contract', 'status', 'delta', 'status', 'result']);
    const { body: problem } = await follow(ao.server.url, { session_id: 'events' });
    const planned = await follow(ao.server.url, { session_id: 'events', plan: { mode: 'parallel', steps: [{ capability: 'tells' }] } });
    expect(planned.events.map((e) => e.event)).toContain('step');
    for (const told of [...events, ...planned.events, { event: 'error', data: problem }]) {
      expect([told, misfits(schema, told)]).toEqual([told, []]);
      expect(misfits(schema, { ...told, data: { ...told.data, undocumented: 1 } })).not.toEqual([]);
    }
    expect(misfits(schema, { event: 'weather', data: {} })).not.toEqual([]);
  });

  it('every problem is as documented', async () => {
    const refused: [string, Promise<{ status: number; type: string; body: unknown }>][] = [
      ['POST /v1/orchestrate', ao.post('/v1/orchestrate', { session_id: 's' })],
      ['POST /v1/orchestrate', ao.post('/v1/orchestrate').type('text/plain').send('{}')],
      ['POST /v1/route', ao.post('/v1/route', { session_id: 's' })],
      ['GET /v1/contracts', ao.get('/v1/contracts?limit=0')],
      ['GET /v1/contracts/{id}', ao.get('/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV')],
      ['GET /v1/tasks/{id}', ao.get('/v1/tasks/01ARZ3NDEKTSV4RRFFQ69G5FAV')],
      ['GET /v1/contracts/{id}/proof', ao.get('/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV/proof')],
      ['GET /v1/log/checkpoint', ao.get('/v1/log/checkpoint?witnessed=true')],
      ['GET /v1/log/proof/inclusion', ao.get('/v1/log/proof/inclusion')],
      ['GET /v1/log/proof/consistency', ao.get('/v1/log/proof/consistency?from=1&to=1000000')],
      ['GET /v1/sessions', ao.get('/v1/sessions?cursor=x')],
      ['GET /v1/sessions/{id}', ao.get('/v1/sessions/never-opened')],
      ['POST /v1/sessions/{id}/close', ao.post('/v1/sessions/never-opened/close')],
      ['GET /v1/sessions/{id}/memory', ao.get('/v1/sessions/never-opened/memory')],
      ['POST /v1/compress', ao.post('/v1/compress', { session_id: 'never-opened' })],
      ['POST /v1/compress', ao.post('/v1/compress?require=llm', { session_id: 't' })],
      ['GET /v1/agents/{id}', ao.get('/v1/agents/nobody')],
      ['POST /v1/agents', ao.post('/v1/agents', { agent_id: 'Not An Id' })],
      ['POST /v1/agents/{id}/stop', ao.post('/v1/agents/nobody/stop')],
      ['POST /v1/verify', ao.post('/v1/verify', { colour: 'red' })],
      ['POST /v1/export', ao.post('/v1/export', { session_id: 'never-opened' })],
      ['POST /v1/export', ao.post('/v1/export', { session_id: 's', from: 0, to: 1 })],
      ['POST /v1/replay/views', ao.post('/v1/replay/views', { colour: 'red' })],
      ['POST /v1/replay/session', ao.post('/v1/replay/session', { session_id: 's', at: 'noon' })],
      ['POST /v1/replay/record', ao.post('/v1/replay/record', {})],
      ['POST /v1/trace/replay', ao.post('/v1/trace/replay', { from: 0 })],
      ['POST /v1/trace/audit', ao.post('/v1/trace/audit', {})],
    ];
    for (const [route, answer] of refused) {
      const { status, type, body } = await answer;
      expect([route, status, type]).toEqual([route, expect.any(Number), PROBLEM_TYPE]);
      expect([route, misfits(answerOf(route, status, PROBLEM_TYPE), body)]).toEqual([route, []]);
    }
  });
});

describe('with REQUIRE_AUTH', () => {
  const ao = running(anyPlace, async () => ({ REQUIRE_AUTH: 'true', JWT_SECRET: 'x'.repeat(32), HOST: '127.0.0.1' }));

  it('every route that names a scope refuses who has no token, and the document itself can be read', async () => {
    const { paths } = (await ao.get('/openapi.json').expect(200)).body as Document;
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, { security }] of Object.entries(methods)) {
        const url = path.replace('{id}', '01ARZ3NDEKTSV4RRFFQ69G5FAV');
        const { status } = await fetch(ao.server.url + url, {
          method: method.toUpperCase(),
          ...(method !== 'get' && { headers: { 'content-type': JSON_TYPE }, body: '{}' }),
        });
        expect([method, path, status]).toEqual([method, path, security ? 401 : 200]);
      }
    }
    for (const page of ['/docs', '/redoc']) await ao.get(page).expect(200);
  });
});
