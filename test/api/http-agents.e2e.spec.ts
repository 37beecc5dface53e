import { gzipSync } from 'node:zlib';
import { type Answer, running, until } from '../support/orchestrator.js';
import { type Manner, type Peer, says, sends, startPeer } from '../support/peer.js';
import { agentsFile, describeEachPlace } from '../support/place.js';
import { expectRecorded } from '../support/recorded.js';

const MIB = 1024 * 1024;
const NOT_UTF8 = Buffer.from('{"success":true,"data":"\xff\xfe"}', 'latin1');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

const utf8 = (data: string) => ({ encoding: 'utf-8', data });

/** 100 MiB, as long as somebody listens. */
const pours: Manner = (response) => {
  response.writeHead(200);
  const chunk = Buffer.alloc(MIB, ' ');
  poured = 0;
  const more = () => {
    for (; poured < 100 && !response.destroyed; poured++) if (!response.write(chunk)) return void response.once('drain', more);
    response.end();
  };
  more();
};
let poured = 0;

/** A byte now and then, without an end. */
const drips: Manner = (response) => {
  response.writeHead(200);
  const dripping = setInterval(() => response.write(' '), 5);
  response.on('close', () => clearInterval(dripping));
};

const OK = 'HTTP/1.1 200 OK\r\n';
const GOOD = '{"success":true,"data":1}';
const DEEP = `{"success":true,"data":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
const PACKED = gzipSync(GOOD);

const base64 = (data: Buffer) => ({ encoding: 'base64', data: data.toString('base64') });

/** How the agent answers, the error_code, what of it is kept as `raw`, and what the error says. */
const BAD: Record<string, [manner: Manner, error_code: string, raw?: unknown, error?: RegExp]> = {
  refuses: [says('{"success":false,"error":"no","data":[1]}'), 'agent_failed'],
  '500': [says('<h1>it broke</h1>', 500), 'agent_failed', utf8('<h1>it broke</h1>')],
  '404': [says('nobody here', 404), 'agent_invalid_response', utf8('nobody here')],
  'empty-204': [says('', 204), 'agent_invalid_response', utf8(''), /204/],
  '201': [says(GOOD, 201), 'agent_invalid_response', utf8(GOOD), /201, expected 200/],
  '304': [says('', 304), 'agent_invalid_response', utf8(''), /304/],
  '401': [
    says('{"success":false,"error":"who are you"}', 401),
    'agent_invalid_response',
    utf8('{"success":false,"error":"who are you"}'),
    /401/,
  ],
  '100-only': [sends('HTTP/1.1 100 Continue\r\n\r\n'), 'agent_unreachable'],
  '101': [sends('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'), 'agent_unreachable'],
  '103-only': [sends('HTTP/1.1 103 Early Hints\r\n\r\n'), 'agent_unreachable'],
  'html-200': [
    says('<!doctype html><p>Welcome', 200, { 'content-type': 'text/html' }),
    'agent_invalid_response',
    utf8('<!doctype html><p>Welcome'),
    /line 1, column 1/,
  ],
  deep: [says(DEEP), 'agent_invalid_response', utf8(DEEP), /64 levels/],
  gzip: [says(PACKED, 200, { 'content-encoding': 'gzip' }), 'agent_invalid_response', base64(PACKED), /content-encoding gzip/],
  'speaks-ssh': [sends('SSH-2.0-OpenSSH_9.2\r\n'), 'agent_invalid_response', undefined, /HTTP/],
  'bad-chunks': [sends(`${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`), 'agent_invalid_response', undefined, /HTTP/],
  'large-header': [sends(`${OK}x-large: ${'h'.repeat(2 * MIB)}\r\n\r\n${GOOD}`), 'agent_response_too_large', undefined, /header/],
  'many-headers': [sends(`${OK}${'x-h: 1\r\n'.repeat(200_000)}\r\n${GOOD}`), 'agent_response_too_large', undefined, /header/],
  'says-less-than-it-sends': [sends(`${OK}content-length: 10\r\n\r\n${GOOD}`), 'agent_invalid_response', utf8(GOOD.slice(0, 10))],
  'says-more-than-it-sends': [sends(`${OK}content-length: 99\r\nconnection: close\r\n\r\n${GOOD}`), 'agent_unreachable'],
  'says-two-lengths': [sends(`${OK}content-length: 25\r\ncontent-length: 26\r\n\r\n${GOOD}`), 'agent_unreachable'],
  'cuts-a-chunk': [sends(`${OK}transfer-encoding: chunked\r\n\r\n19\r\n{"success"`), 'agent_unreachable'],
  'not-json': [says('I am fine,\r\n thank you \u0000😀'), 'agent_invalid_response', utf8('I am fine,\r\n thank you \u0000😀')],
  'duplicate-keys': [says('{"success":true,"data":1,"data":2}'), 'agent_invalid_response', utf8('{"success":true,"data":1,"data":2}')],
  'big-integer': [
    says('{"success":true,"data":90071992547409930}'),
    'agent_invalid_response',
    utf8('{"success":true,"data":90071992547409930}'),
  ],
  'lone-surrogate': [says('{"success":true,"data":"\\ud83d"}'), 'agent_invalid_response', utf8('{"success":true,"data":"\\ud83d"}')],
  'not-utf-8': [says(NOT_UTF8), 'agent_invalid_response', { encoding: 'base64', data: NOT_UTF8.toString('base64') }],
  empty: [says(''), 'agent_invalid_response', utf8('')],
  'wrong-shape': [says('{"ok":true}'), 'agent_invalid_response', { value: { ok: true } }],
  oversized: [says(JSON.stringify({ success: true, data: 'x'.repeat(5 * MIB) })), 'agent_response_too_large'],
  pours: [pours, 'agent_response_too_large'],
  'hangs-up': [(response) => response.socket!.destroy(), 'agent_unreachable'],
  'hangs-up-halfway': [
    (response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"success":true,');
      setTimeout(() => response.socket?.destroy(), 20);
    },
    'agent_unreachable',
  ],
};

const GOOD_IN_THEIR_WAY: Record<string, Manner> = {
  'a-byte-a-chunk': (response) => {
    response.writeHead(200);
    for (const byte of GOOD) response.write(byte);
    response.end();
  },
  'hints-first': (response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    says(GOOD)(response, undefined as never);
  },
  'until-the-end': sends(`${OK}\r\n${GOOD}`),
  'another-type': says(GOOD, 200, { 'content-type': 'text/plain', 'content-encoding': 'identity' }),
};

const NUMBERS = Math.floor((4 * MIB - 32) / 5);

/** 4 MiB that are several times as long in the record. */
const LARGEST: Record<string, Manner> = {
  'numbers-in-short': says(`{"success":true,"data":[${'1e15,'.repeat(NUMBERS)}1]}`),
  'nothing-but-nul': says(Buffer.alloc(4 * MIB)),
};

describeEachPlace('an agent over HTTP', (make) => {
  let peer: Peer;
  const ao = running(make, async () => {
    const bad = Object.fromEntries(Object.entries(BAD).map(([name, [manner]]) => [name, manner]));
    peer = await startPeer({
      ...bad,
      works: (response, task) => says(JSON.stringify({ success: true, data: { echo: task.parameters }, extra: 1 }))(response, task),
      '302': (response, task) => says('', 302, { location: `${peer.url}/elsewhere/execute` })(response, task),
      '307': (response, task) => says('', 307, { location: `${peer.url}/elsewhere/execute` })(response, task),
      silent: () => undefined,
      stalls: (response) => void response.writeHead(200).write('{'),
      drips,
      large: says(JSON.stringify({ success: true, data: 'y'.repeat(3 * MIB) })),
      ...GOOD_IN_THEIR_WAY,
      ...LARGEST,
    });
    const capabilities = [
      ...Object.keys({ ...BAD, ...GOOD_IN_THEIR_WAY, ...LARGEST }),
      'works',
      '302',
      '307',
      'silent',
      'stalls',
      'drips',
    ].map((name) => ({ name }));
    const gone = await startPeer({});
    await gone.close();
    const agents = [
      { agent_id: 'peer', name: 'Peer', protocol: 'http', capabilities, endpoint: `${peer.url}/agents/peer/` },
      { agent_id: 'gone', name: 'Gone', capabilities: [{ name: 'refused-connection' }], endpoint: gone.url },
    ];
    return { AGENTS_FILE: await agentsFile(agents) };
  });
  afterAll(() => peer?.close());

  const contract = async ({ contract_id }: Answer) => (await ao.get(`/v1/contracts/${contract_id}`)).body;

  it('gets the task with the contract id as task_id and Idempotency-Key, and the trace of its caller', async () => {
    const asked = { parameters: { text: '\u0000 😀' }, context: { lang: 'de' } };
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    const answer = await ao.orchestrate({ session_id: 'good', capability: 'works', ...asked }, { traceparent });
    expect(answer).toMatchObject({ success: true, agent_id: 'peer', data: { echo: asked.parameters } });
    const { path, headers, task } = peer.heard.at(-1)!;
    expect(path).toBe('/agents/peer/execute');
    expect(task).toEqual({ task_id: answer.contract_id, capability: 'works', ...asked });
    expect(headers['idempotency-key']).toBe(answer.contract_id);
    expect(headers['traceparent']).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect((await expectRecorded(ao.db, answer)).request.record).toMatchObject({ trace: TRACE });
  });

  it.each(Object.entries(BAD))('that answers badly (%s) ends the contract failed', async (capability, [, error_code, raw, error = /./]) => {
    const before = peer.heard.length;
    const answer = await ao.orchestrate({ session_id: 'bad', capability });
    expect(answer).toMatchObject({ success: false, agent_id: 'peer', error_code, error: expect.stringMatching(error) });
    expect(answer.error).not.toMatch(/^\s*at |node_modules|\.[jt]s:\d/m);
    const { response } = await expectRecorded(ao.db, answer);
    expect(response.payload['raw']).toEqual(raw);
    expect((await contract(answer)).response.metadata).toEqual(raw === undefined ? {} : { raw });
    expect(peer.heard.length).toBe(before + 1); // asked once, never again behind the record's back
  });

  it('that pours out 100 MiB is cut off early', async () => {
    await ao.orchestrate({ session_id: 'bad', capability: 'pours' });
    await until('the agent sees the caller hang up', () => peer.abandoned.length > 0);
    expect(poured).toBeLessThan(30); // 4 MiB, and what the sockets of both sides hold
  });

  it.each(Object.keys(GOOD_IN_THEIR_WAY))('may answer in its own way (%s)', async (capability) => {
    const answer = await ao.orchestrate({ session_id: 'good', capability });
    expect(answer).toMatchObject({ success: true, data: 1 });
  });

  it.each(['302', '307'])('that redirects (%s) is not followed', async (capability) => {
    const answer = await ao.orchestrate({ session_id: 'bad', capability });
    expect(answer).toMatchObject({ success: false, error_code: 'agent_invalid_response', error: expect.stringContaining(capability) });
    expect(answer.error).toContain(`${peer.url}/elsewhere/execute; redirects are not followed`);
    await expectRecorded(ao.db, answer);
    expect(peer.heard.filter((h) => h.path.includes('elsewhere'))).toEqual([]);
  });

  it('that nobody listens for is agent_unreachable', async () => {
    const answer = await ao.orchestrate({ session_id: 'bad', capability: 'refused-connection' });
    expect(answer).toMatchObject({
      success: false,
      agent_id: 'gone',
      error_code: 'agent_unreachable',
      error: expect.stringContaining('ECONNREFUSED'),
    });
    await expectRecorded(ao.db, answer);
  });

  it.each(['silent', 'stalls', 'drips'])('that does not finish (%s) is hung up on at the deadline', async (capability) => {
    const answer = await ao.orchestrate({ session_id: 'bad', capability, timeout_seconds: 0.3 });
    expect(answer).toMatchObject({ success: false, error_code: 'agent_timeout' });
    await expectRecorded(ao.db, answer);
    await until('the agent sees the caller hang up', () => peer.abandoned.includes(answer.contract_id));
  });

  it('may answer 4 MiB whose record is several times as long', async () => {
    const numbers = await ao.orchestrate({ session_id: 'large', capability: 'numbers-in-short' });
    expect([numbers.success, (numbers.data as number[]).length]).toEqual([true, NUMBERS + 1]);
    const { raw } = (await contract(await ao.orchestrate({ session_id: 'large', capability: 'nothing-but-nul' }))).response.metadata;
    expect(raw).toEqual(utf8('\u0000'.repeat(4 * MIB)));
    const sizes = await ao.db.query<{ n: number }>('SELECT max(length(bytes)) AS n FROM payload');
    expect(sizes[0]!.n).toBeGreaterThan(20 * MIB);
  }, 120_000);

  it('is called by many at once, each getting his own answer', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ao.orchestrate({ session_id: `many ${i % 5}`, capability: 'works', parameters: { i } })),
    );
    expect(answers.map((a) => a.data)).toEqual(answers.map((_, i) => ({ echo: { i } })));
  });
});
