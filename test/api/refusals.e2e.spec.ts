import { request as raw } from 'undici';
import { running } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { countEvents } from '../support/recorded.js';

const body = (more: string) => `{"session_id":"refused","capability":"echo"${more}}`;
const parameters = (text: string) => body(`,"parameters":${text}`);
const object = (members: object) => JSON.stringify({ session_id: 'refused', capability: 'echo', ...members });
const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

/** What is wrong with it, the body, and where the answer must point: a JSON pointer into the text or the name of a field. */
const UNREADABLE: [string, string | Buffer, string][] = [
  ['a key twice', body(',"capability":"uppercase"'), '/capability'],
  ['a key twice further down', parameters('{"a":[0,{"b":1,"b":2}]}'), '/parameters/a/1/b'],
  ['__proto__ twice', parameters('{"__proto__":1,"__proto__":2}'), '/parameters/__proto__'],
  ['an integer beyond 2^53', parameters('{"n":9007199254740993}'), '/parameters/n'],
  ['a number no double can hold', parameters('{"n":1e999}'), '/parameters/n'],
  ['half a surrogate pair', parameters('{"a/b~":"\\ud83d"}'), '/parameters/a~1b~0'],
  ['half a surrogate pair as session_id', '{"session_id":"\\udc00","capability":"echo"}', '/session_id'],
  ['65 levels', parameters(`{"a":${deep(63)}}`), `/parameters/a${'/0'.repeat(62)}`],
  ['NaN', parameters('{"n":NaN}'), '/parameters/n'],
  ['no end', '{"session_id":"refused","capability":', '/capability'],
  ['something after its end', `${body('')} x`, ''],
  ['a byte order mark', `\ufeff${body('')}`, ''],
  ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), ''],
];

const UNFIT: [string, string, string][] = [
  ['no session_id', '{"capability":"echo"}', 'session_id'],
  ['an empty session_id', object({ session_id: '' }), 'session_id'],
  ['a session_id of 129 characters', object({ session_id: 'x'.repeat(129) }), 'session_id'],
  ['a control character in session_id', object({ session_id: 'a\nb' }), 'session_id'],
  ['DEL in session_id', object({ session_id: 'a\u007f' }), 'session_id'],
  ['a number as session_id', object({ session_id: 7 }), 'session_id'],
  ['neither capability nor agent_id', '{"session_id":"refused"}', 'capability'],
  ['a member nobody knows', object({ colour: 'red' }), 'colour'],
  ['__proto__ as a member', body(',"__proto__":{}'), '__proto__'],
  ['parameters that are a list', object({ parameters: [] }), 'parameters'],
  ['parameters that are null', object({ parameters: null }), 'parameters'],
  ['a timeout of nothing', object({ timeout_seconds: 0 }), 'timeout_seconds'],
  ['a timeout of an hour', object({ timeout_seconds: 3600 }), 'timeout_seconds'],
  ['a list instead of an object', '[]', ''],
  ['null', 'null', ''],
];

describeEachPlace('what is refused', (make) => {
  const ao = running(make);
  let events: number;
  beforeEach(async () => {
    events = await countEvents(ao.db);
  });
  afterEach(async () => {
    expect(await countEvents(ao.db)).toBe(events); // nothing recorded
  });

  const send = async (text: string | Buffer, headers: Record<string, string> = {}) => {
    const answer = await raw(`${ao.server.url}/v1/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: text,
    });
    return {
      status: answer.statusCode,
      type: answer.headers['content-type'],
      problem: (await answer.body.json()) as Record<string, unknown>,
    };
  };
  const problem = (status: number, code: string) => ({
    status,
    type: expect.stringMatching(/^application\/problem\+json/),
    problem: expect.objectContaining({ status, code, type: 'about:blank', title: code.replaceAll('_', ' '), detail: expect.any(String) }),
  });

  it.each(UNREADABLE)('a body with %s is a 400 that points to the place', async (_what, text, pointer) => {
    const answer = await send(text);
    expect(answer).toEqual(problem(400, 'invalid_json'));
    expect(answer.problem['pointer']).toBe(pointer);
  });

  it.each(UNFIT)('a body with %s is a 400 that names the field', async (_what, text, field) => {
    const answer = await send(text);
    expect(answer).toEqual(problem(400, 'invalid_request'));
    expect(answer.problem['errors']).toEqual([{ field, message: expect.stringMatching(/./) }]);
    expect(answer.problem['detail']).toContain(field);
  });

  it('names every field that is wrong', async () => {
    const { problem: told } = await send('{"capability":"","timeout_seconds":"soon","colour":1,"size":2}');
    expect((told['errors'] as { field: string }[]).map((e) => e.field).sort()).toEqual([
      'capability',
      'colour',
      'session_id',
      'size',
      'timeout_seconds',
    ]);
  });

  it('64 levels are no reason to refuse a body', async () => {
    const answer = await send(object({ session_id: '', parameters: JSON.parse(`{"a":${deep(62)}}`) as object }));
    expect(answer).toEqual(problem(400, 'invalid_request'));
    expect((answer.problem['errors'] as { field: string }[]).map((e) => e.field)).toEqual(['session_id']);
  });

  it('no body at all is a 400', async () => {
    expect(await send('')).toEqual(problem(400, 'invalid_request'));
  });

  it('a body of more than 1 MiB is a 413, one of exactly 1 MiB is read', async () => {
    const empty = object({ session_id: '', parameters: { text: '' } });
    const text = (length: number) => object({ session_id: '', parameters: { text: 'x'.repeat(length - Buffer.byteLength(empty)) } });
    expect(await send(text(1024 * 1024 + 1))).toEqual(problem(413, 'payload_too_large'));
    expect(await send(text(1024 * 1024))).toEqual(problem(400, 'invalid_request'));
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx', 'multipart/form-data; boundary=x'])(
    'a body of type %s is a 415',
    async (type) => {
      expect(await send(body(''), { 'content-type': type })).toEqual(problem(415, 'unsupported_media_type'));
    },
  );

  it.each([
    ['an empty one', ''],
    ['one of 256 characters', 'k'.repeat(256)],
  ])('an Idempotency-Key must have 1 to 255 characters: %s is a 400', async (_what, key) => {
    expect(await send(body(''), { 'idempotency-key': key })).toEqual(problem(400, 'invalid_request'));
  });

  it.each([
    ['GET', '/v1/nothing'],
    ['GET', '/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV'],
    ['POST', '/v1/sessions/nobody-has-this-id/close'],
    ['GET', '/'],
  ])('%s %s is a 404', async (method, path) => {
    const answer = await raw(`${ao.server.url}${path}`, { method: method as 'GET' });
    expect({ status: answer.statusCode, type: answer.headers['content-type'], problem: await answer.body.json() }).toEqual(
      problem(404, 'not_found'),
    );
  });

  it.each([
    ['GET', '/v1/orchestrate', 'POST'],
    ['DELETE', '/v1/contracts?limit=1', 'GET, HEAD'],
    ['PUT', '/v1/sessions/a%2Fb', 'GET, HEAD'],
    ['GET', '/v1/sessions/x/close', 'POST'],
    ['PATCH', '/v1/agents/health', 'GET, HEAD, PUT, DELETE'],
    ['OPTIONS', '/v1/status', 'GET, HEAD'],
    ['POST', '/openapi.json', 'GET, HEAD'],
  ])('%s %s is a 405 that says what is allowed', async (method, path, allow) => {
    const answer = await raw(`${ao.server.url}${path}`, { method: method as 'GET' });
    expect([answer.headers['allow'], answer.headers['content-type']]).toEqual([
      allow,
      expect.stringMatching(/^application\/problem\+json/),
    ]);
    expect(await answer.body.json()).toMatchObject({ status: 405, code: 'method_not_allowed', detail: expect.stringContaining(allow) });
  });

  it('the record of an agent is no contract', async () => {
    const [row] = await ao.db.query<{ event_id: string }>(`SELECT event_id FROM event WHERE type = 'agent.registered' LIMIT 1`);
    expect((await ao.get(`/v1/contracts/${row!.event_id}`)).body).toMatchObject({ status: 404, code: 'not_found' });
  });

  it.each([
    '/v1/contracts/not-a-ulid',
    '/v1/contracts?colour=red',
    '/v1/contracts?limit=0',
    '/v1/contracts?limit=1001',
    '/v1/contracts?limit=ten',
    '/v1/contracts?status=lost',
    '/v1/contracts?type=request',
    '/v1/contracts?since=yesterday',
    '/v1/contracts?cursor=page2',
    '/v1/contracts?session_id=',
    '/v1/contracts?session_id=a&session_id=b',
    '/v1/contracts?session_id=a%00b',
    '/v1/contracts?session_id=a&cursor=77',
    '/v1/contracts/%ZZ',
  ])('GET %s is a 400', async (path) => {
    const answer = await raw(`${ao.server.url}${path}`);
    expect({ status: answer.statusCode, type: answer.headers['content-type'], problem: await answer.body.json() }).toEqual(
      problem(400, 'invalid_request'),
    );
  });
});
