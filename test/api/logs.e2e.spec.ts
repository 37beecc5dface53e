import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { request as raw } from 'undici';
import { readConfig } from '../../src/config.js';
import { type Log, openLog } from '../../src/kernel/log.system.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { type Answer, running, start, until } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, anyPlace, describeEachPlace, inspect, MOODY } from '../support/place.js';
import { endAll, spawnOrchestrator } from '../support/process.js';
import { expectSound } from '../support/sound.js';

/** Stands wherever a caller or an agent may write something. */
const PAYLOAD = 'the-eagle-has-landed';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/;

type Line = Record<string, unknown>;

/** A log into memory. */
function kept(settings: Record<string, string>): { log: Log; lines: Line[]; text: () => string } {
  const lines: Line[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Line);
  return { log: openLog(readConfig({ LOG_FORMAT: 'json', ...settings }), { write }), lines, text: () => JSON.stringify(lines) };
}

/** Everything that can be done wrong or right with a payload in it. Answers what callers were told. */
async function sayItEverywhere(url: string): Promise<string[]> {
  const told: string[] = [];
  const send = async (method: string, path: string, body?: string, headers: Record<string, string> = {}) => {
    const answer = await raw(`${url}${path}`, {
      method: method as 'GET',
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body }),
    });
    told.push(await answer.body.text());
  };
  const orchestrate = (members: object, headers?: Record<string, string>) =>
    send('POST', '/v1/orchestrate', JSON.stringify({ session_id: 'told', ...members }), headers);
  const parameters = { text: PAYLOAD, [PAYLOAD]: PAYLOAD };
  await orchestrate({ capability: 'mirrors', parameters, context: parameters, intent: PAYLOAD });
  await orchestrate({ capability: 'echoes', parameters });
  for (const capability of ['throws-what-it-was-told', 'refuses-it', 'garbles', 'breaks', 'nobody-offers-this'])
    await orchestrate({ capability, parameters });
  await orchestrate({ capability: PAYLOAD });
  await orchestrate({ agent_id: PAYLOAD });
  await orchestrate({ capability: 'mirrors', [PAYLOAD]: 1 });
  await orchestrate(
    { capability: 'mirrors' },
    { 'idempotency-key': PAYLOAD, 'user-agent': PAYLOAD, 'x-request-id': PAYLOAD, authorization: PAYLOAD },
  );
  await orchestrate({ capability: 'mirrors' }, { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: `a=${PAYLOAD}` });
  await orchestrate({ capability: 'mirrors' }, { traceparent: PAYLOAD });
  await send('POST', '/v1/orchestrate', `{"session_id":"told","${PAYLOAD}":1,"${PAYLOAD}":2}`);
  await send('POST', '/v1/orchestrate', `{"session_id":"told",${PAYLOAD}`);
  await send('POST', '/v1/orchestrate', PAYLOAD, { 'content-type': `text/${PAYLOAD}` });
  await send('GET', `/${PAYLOAD}?${PAYLOAD}=${PAYLOAD}`);
  await send('GET', `/v1/contracts?${PAYLOAD}=1`);
  await send('GET', `/v1/contracts?session_id=told&capability=${PAYLOAD}`);
  await send('GET', `/v1/contracts/${PAYLOAD}`);
  await send('GET', `/v1/contracts/%ZZ${PAYLOAD}`);
  await send('POST', `/v1/sessions/${PAYLOAD}/close`);
  await send('POST', '/v1/sessions/told/close');
  await orchestrate({ capability: 'mirrors', parameters });
  told.push(
    await bytes(
      url,
      `POST /v1/orchestrate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n{"${PAYLOAD}`,
    ),
  );
  told.push(await bytes(url, `${PAYLOAD}\r\n\r\n`)); // not even HTTP
  return told;
}

/** Sends just these bytes; the first of what comes back. */
const bytes = (url: string, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text));
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
  });

const startTalkers = async (): Promise<Peer> =>
  startPeer({
    echoes: (response, task) => says(JSON.stringify({ success: true, data: task.parameters }))(response, task),
    garbles: says(`<h1>${PAYLOAD}</h1>`),
    breaks: says(PAYLOAD, 500),
    'refuses-it': says(JSON.stringify({ success: false, error: PAYLOAD })),
  });

const talkersFile = (peer: Peer) =>
  agentsFile([
    MOODY,
    {
      agent_id: 'peer',
      name: 'Peer',
      endpoint: peer.url,
      capabilities: ['echoes', 'garbles', 'breaks', 'refuses-it'].map((name) => ({ name })),
    },
  ]);

/** From now on the database refuses every event, and repeats the payload in its reason, as it does with a failing row. */
const refuseEvents = async (db: Database) => {
  await db.query(`CREATE FUNCTION refuse_payload() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'cannot keep ${PAYLOAD}' USING ERRCODE = '23514', DETAIL = '${PAYLOAD}'; END $$`);
  await db.query('CREATE TRIGGER refuse_payload BEFORE INSERT ON payload FOR EACH ROW EXECUTE FUNCTION refuse_payload()');
};
const acceptEvents = async (db: Database) => {
  await db.query('DROP TRIGGER refuse_payload ON payload');
  await db.query('DROP FUNCTION refuse_payload');
};

const STACK = /\\n +at |node_modules|\bnode:|\.[jt]s\b/;

describeEachPlace('the log', (make) => {
  let peer: Peer;
  const { log, lines, text } = kept({ LOG_LEVEL: 'debug' });
  const ao = running(
    make,
    async () => {
      peer = await startTalkers();
      return { AGENTS_FILE: await talkersFile(peer) };
    },
    log,
  );
  afterAll(() => peer?.close());
  beforeEach(() => lines.splice(0));
  const of = (msg: string) => lines.filter((line) => line['msg'] === msg);
  const number = expect.any(Number);

  it('has one line for a request and one for its task, which one trace id ties together', async () => {
    const answer = await ao.orchestrate({ session_id: 'logged', capability: 'mirrors' });
    await until('both are there', () => lines.length >= 2);
    const trace_id = expect.stringMatching(/^[0-9a-f]{32}$/);
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(lines).toEqual([
      {
        ...{ level: 'info', time, msg: 'task', session: 'logged', stream: answer.receipt.stream, contract_id: answer.contract_id },
        ...{ task_id: answer.task_id, agent: 'moody', capability: 'mirrors', status: 'completed', ms: number, trace_id },
      },
      {
        ...{ level: 'info', time, msg: 'request', method: 'POST', route: '/v1/orchestrate', status: 200, ms: number },
        ...{ request_id: expect.stringMatching(/^[0-9a-f]{16}$/), trace_id },
      },
    ]);
    expect(lines[0]!['trace_id']).toBe(lines[1]!['trace_id']);
  });

  it('knows a request by the two ids that its answer carries', async () => {
    const { headers } = await ao.get('/v1/status');
    await until('it is there', () => lines.length > 0);
    const [{ trace_id, request_id }] = lines as [{ trace_id: string; request_id: string }];
    expect(headers['traceparent']).toBe(`00-${trace_id}-${request_id}-01`);
  });

  it('says how a task failed by its code, and that a repeated one was answered before', async () => {
    await ao.orchestrate({ session_id: 'logged', capability: 'throws-at-once' });
    await ao.orchestrate({ session_id: 'logged', capability: 'nobody-offers-this' });
    for (let i = 0; i < 2; i++) await ao.orchestrate({ session_id: 'logged', capability: 'mirrors' }, { 'idempotency-key': 'again' });
    expect(
      of('task').map(({ agent, capability, status, error_code, repeated }) => [agent, capability, status, error_code, repeated]),
    ).toEqual([
      ['moody', 'throws-at-once', 'failed', 'agent_threw', undefined],
      [null, null, 'failed', 'no_agent', undefined],
      ['moody', 'mirrors', 'completed', undefined, undefined],
      ['moody', 'mirrors', 'completed', undefined, true],
    ]);
  });

  it('says of a refused request its code', async () => {
    await ao.post('/v1/orchestrate', {}).expect(400);
    await ao.get('/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV').expect(404);
    await until('both are there', () => lines.length >= 2);
    expect(lines.map(({ route, status, code }) => [route, status, code])).toEqual([
      ['/v1/orchestrate', 400, 'invalid_request'],
      ['/v1/contracts/:id', 404, 'not_found'],
    ]);
  });

  it.each(['/v1/health', '/metrics'])('mentions %s at level debug only', async (path) => {
    await ao.get(path).expect(200);
    await until('it is there', () => lines.length > 0);
    expect(lines.map(({ level, route }) => [level, route])).toEqual([['debug', path]]);
  });

  it('holds nothing of what callers and agents wrote, at any level, whatever goes wrong, and no caller sees a stack', async () => {
    const told = await sayItEverywhere(ao.server.url);
    await refuseEvents(ao.db);
    try {
      const { status, body } = await ao.post('/v1/orchestrate', { session_id: 'x', capability: 'mirrors', parameters: { a: PAYLOAD } });
      expect([status, body]).toEqual([500, expect.objectContaining({ code: 'internal', detail: expect.not.stringContaining(PAYLOAD) })]);
      told.push(JSON.stringify(body));
    } finally {
      await acceptEvents(ao.db);
    }
    await until('the last one is there', () => of('request').some((line) => line['status'] === 500));
    expect(text()).not.toContain(PAYLOAD);
    for (const each of told) expect(each.replaceAll(PAYLOAD, '')).not.toMatch(STACK);

    // It was said, and the lines are about it.
    expect(told.join('')).toContain(PAYLOAD);
    expect(new Set(of('request').map((line) => line['status']))).toEqual(new Set([200, 400, 404, 409, 413, 415, 500]));
    const codes = new Set(of('task').map((line) => line['error_code']));
    expect(codes).toEqual(new Set([undefined, 'no_agent', 'agent_failed', 'agent_threw', 'agent_invalid_response']));
    for (const { contract_id } of of('task')) expect(contract_id).toMatch(ULID);
    // What went wrong inside is told by kind and place.
    const [failed, ...more] = of('request failed');
    expect(more).toEqual([]);
    expect(failed).toMatchObject({
      ...{ level: 'error', method: 'POST', route: '/v1/orchestrate' },
      err: {
        name: 'OrchestratorError',
        code: 'internal',
        at: expect.arrayContaining([expect.stringMatching(/append\.worker/)]),
        cause: { code: '23514' },
      },
    });
    expect(of('request').some((line) => line['trace_id'] === failed!['trace_id'] && line['status'] === 500)).toBe(true);
  });
});

it('at LOG_LEVEL=warn the log has no line about a request unless it broke something', async () => {
  const place = await anyPlace();
  const { log, lines } = kept({ LOG_LEVEL: 'warn' });
  const server = await start(place, {}, log);
  const post = async (body: string) => {
    const answer = await raw(`${server.url}/v1/orchestrate`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    await answer.body.dump();
    return answer.statusCode;
  };
  try {
    const statuses = [
      await post('{"session_id":"s","capability":"mirrors"}'),
      await post('{"session_id":"s","capability":"throws-at-once"}'),
      await post('{'),
    ];
    await refuseEvents(server.ledger.db);
    statuses.push(await post('{"session_id":"s","capability":"mirrors"}'));
    expect(statuses).toEqual([200, 200, 400, 500]);
    expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', expect.stringMatching(/^made a development key/)],
      ['error', 'request failed'],
    ]);
  } finally {
    await server.close();
    await place.drop();
  }
});

it('readable by people, a line says what happened and the facts as name=value', async () => {
  let shown = '';
  const screen = new Writable({
    write(chunk: Buffer, _encoding, done) {
      shown += chunk.toString();
      done();
    },
  });
  const log = openLog(readConfig({ LOG_FORMAT: 'pretty' }), screen);
  log.info({ method: 'GET', route: '/v1/status', status: 200, code: undefined, agent: null, ms: 1.5 }, 'request');
  log.debug({}, 'not shown');
  await until('it is shown', () => shown.includes('\n'));
  expect(shown).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: request method=GET route=\/v1\/status status=200 ms=1\.5\n$/);
});

describe('a process of its own', () => {
  afterAll(endAll);

  it('writes nothing of what callers and agents wrote to stdout or stderr, and all its lines before it ends', async () => {
    const [place, peer] = [await anyPlace(), await startTalkers()];
    const own = await spawnOrchestrator(place, { LOG_LEVEL: 'debug', AGENTS_FILE: await talkersFile(peer) });
    await sayItEverywhere(await own.url);
    const answer = await raw(`${await own.url}/v1/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ session_id: 'last', capability: 'mirrors', parameters: { [PAYLOAD]: PAYLOAD } }),
    });
    const last = (await answer.body.json()) as Answer;
    own.signal('SIGTERM');
    expect(await own.ended).toEqual({ code: 0, signal: null });
    await peer.close();
    const lines = own
      .stdout()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    expect(lines.some((line) => line['contract_id'] === last.contract_id && line['session'] === 'last')).toBe(true);
    expect(lines.filter((line) => line['msg'] === 'request').length).toBeGreaterThan(20);
    expect(own.stdout() + own.stderr()).not.toContain(PAYLOAD);
    expect(own.stderr()).toBe('');
    await inspect(place, expectSound);
    await place.drop();
  });

  it('serves on and ends in good order when nobody reads what it writes', async () => {
    const place = await anyPlace();
    const own = await spawnOrchestrator(place);
    const url = await own.url;
    const readAgain = own.ignoreStdout();
    let answered = 0;
    const ask = async () => {
      const { statusCode, body } = await raw(`${url}/v1/nothing`);
      await body.dump();
      if (statusCode === 404) answered += 1;
    };
    for (let i = 0; i < 100; i++) await Promise.all(Array.from({ length: 20 }, ask)); // some 400 KB of lines, the pipe holds 64
    expect(answered).toBe(2000);
    own.signal('SIGTERM');
    const alive = () => {
      try {
        return process.kill(own.pid, 0);
      } catch {
        return false;
      }
    };
    await until('it has ended', () => !alive());
    readAgain();
    expect(await own.ended).toEqual({ code: 0, signal: null });
    await place.drop();
  });
});
