import { type Answer, running, until } from '../support/orchestrator.js';
import { type Manner, type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, describeEachPlace } from '../support/place.js';
import { expectRecorded } from '../support/recorded.js';

const MIB = 1024 * 1024;
const NOT_UTF8 = Buffer.from('{"success":true,"data":"\xff\xfe"}', 'latin1');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

const utf8 = (data: string) => ({ encoding: 'utf-8', data });

/** As long as somebody listens, at most 64 MiB. */
const pours: Manner = (response) => {
  response.writeHead(200);
  const chunk = Buffer.alloc(MIB, ' ');
  let left = 64;
  const more = () => {
    while (left-- > 0 && !response.destroyed) if (!response.write(chunk)) return void response.once('drain', more);
    response.end();
  };
  more();
};

/** How the agent answers, the error_code, and what of it is kept as `raw`. */
const BAD: Record<string, [manner: Manner, error_code: string, raw?: unknown]> = {
  refuses: [says('{"success":false,"error":"no","data":[1]}'), 'agent_failed'],
  '500': [says('<h1>it broke</h1>', 500), 'agent_failed', utf8('<h1>it broke</h1>')],
  '404': [says('nobody here', 404), 'agent_invalid_response', utf8('nobody here')],
  'empty-204': [says('', 204), 'agent_invalid_response', utf8('')],
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
      large: says(JSON.stringify({ success: true, data: 'y'.repeat(3 * MIB) })),
    });
    const capabilities = [...Object.keys(BAD), 'works', '302', '307', 'silent', 'stalls', 'large'].map((name) => ({ name }));
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

  it.each(Object.entries(BAD))('that answers badly (%s) ends the contract failed', async (capability, [, error_code, raw]) => {
    const before = peer.heard.length;
    const answer = await ao.orchestrate({ session_id: 'bad', capability });
    expect(answer).toMatchObject({ success: false, agent_id: 'peer', error_code, error: expect.stringMatching(/./) });
    const { response } = await expectRecorded(ao.db, answer);
    expect(response.payload['raw']).toEqual(raw);
    expect((await contract(answer)).response.metadata).toEqual(raw === undefined ? {} : { raw });
    expect(peer.heard.length).toBe(before + 1); // asked once, never again behind the record's back
  });

  it.each(['302', '307'])('that redirects (%s) is not followed', async (capability) => {
    const answer = await ao.orchestrate({ session_id: 'bad', capability });
    expect(answer).toMatchObject({ success: false, error_code: 'agent_invalid_response', error: expect.stringContaining(capability) });
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

  it.each(['silent', 'stalls'])('that does not finish (%s) is hung up on at the deadline', async (capability) => {
    const answer = await ao.orchestrate({ session_id: 'bad', capability, timeout_seconds: 0.3 });
    expect(answer).toMatchObject({ success: false, error_code: 'agent_timeout' });
    await expectRecorded(ao.db, answer);
    await until('the agent sees the caller hang up', () => peer.abandoned.includes(answer.contract_id));
  });

  it('may answer as much as can be recorded', async () => {
    const answer = await ao.orchestrate({ session_id: 'large', capability: 'large' });
    expect(answer.success).toBe(true);
    expect((answer.data as string).length).toBe(3 * MIB);
    await expectRecorded(ao.db, answer);
  });

  it('is called by many at once, each getting his own answer', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => ao.orchestrate({ session_id: `many ${i % 5}`, capability: 'works', parameters: { i } })),
    );
    expect(answers.map((a) => a.data)).toEqual(answers.map((_, i) => ({ echo: { i } })));
  });
});
