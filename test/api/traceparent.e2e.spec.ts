import { request as raw } from 'undici';
import { type Answer, running } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, describeEachPlace } from '../support/place.js';
import { expectRecorded } from '../support/recorded.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const THEIRS = `00-${TRACE}-${PARENT}-01`;

describeEachPlace('a traceparent', (make) => {
  let peer: Peer;
  const ao = running(make, async () => {
    peer = await startPeer({ works: says('{"success":true}') });
    return { AGENTS_FILE: await agentsFile([{ agent_id: 'peer', name: 'Peer', capabilities: [{ name: 'works' }], endpoint: peer.url }]) };
  });
  afterAll(() => peer?.close());

  /** What came back, what is recorded, and what the agent got. */
  const ask = async (headers: Record<string, string | string[]>, capability = 'works') => {
    const answer = await raw(`${ao.server.url}/v1/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ session_id: 'traced', capability }),
    });
    const body = (await answer.body.json()) as Answer;
    const { request } = await expectRecorded(ao.db, body);
    return { told: String(answer.headers['traceparent']), recorded: request.record['trace'], heard: peer.heard.at(-1)!.headers, body };
  };

  it('is continued: its trace id is recorded, sent on to the agent and told to the caller, each time under another parent id', async () => {
    const first = await ask({ traceparent: THEIRS });
    const second = await ask({ traceparent: THEIRS });
    const all = [first.told, second.told, first.heard['traceparent'], second.heard['traceparent']];
    for (const each of all) expect(each).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(new Set([THEIRS, ...all]).size).toBe(5);
    expect([first.recorded, second.recorded]).toEqual([TRACE, TRACE]);
  });

  it('that is not sampled is sent on not sampled', async () => {
    const { told, heard } = await ask({ traceparent: `00-${TRACE}-${PARENT}-00` });
    expect([told.slice(-2), String(heard['traceparent']).slice(-2)]).toEqual(['00', '00']);
  });

  it('takes its tracestate along unchanged, and does not put it on the record', async () => {
    const { heard, body } = await ask({ traceparent: THEIRS, tracestate: 'congo=t61rcWkgMzE,rojo=secret' });
    expect(heard['tracestate']).toBe('congo=t61rcWkgMzE,rojo=secret');
    const { request, response } = await expectRecorded(ao.db, body);
    expect(JSON.stringify([request, response])).not.toContain('congo');
  });

  it.each([
    ['absent', {}],
    ['invalid', { traceparent: `00-${TRACE}-${'0'.repeat(16)}-01`, tracestate: 'congo=1' }],
    ['sent twice', { traceparent: [THEIRS, THEIRS], tracestate: 'congo=1' }],
  ])('that is %s is replaced by a new one, and what came as its state is dropped', async (_what, headers) => {
    const [one, two] = [await ask(headers), await ask(headers)];
    expect(one.told).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(one.recorded).toBe(one.told.slice(3, 35));
    expect(String(one.heard['traceparent']).slice(0, 35)).toBe(one.told.slice(0, 35));
    expect(one.heard['tracestate']).toBeUndefined();
    expect([TRACE, two.recorded]).not.toContain(one.recorded);
  });

  it('is recorded even where no agent was asked', async () => {
    const { recorded, body } = await ask({ traceparent: THEIRS }, 'nobody-offers-this');
    expect([recorded, body.error_code]).toEqual([TRACE, 'no_agent']);
  });

  it.each([
    ['GET', '/v1/status', 200],
    ['GET', '/v1/nothing', 404],
    ['GET', '/v1/contracts/%ZZ', 400],
    ['POST', '/v1/orchestrate', 400],
  ])('is told with every answer: %s %s is a %d', async (method, path, status) => {
    const answer = await raw(`${ao.server.url}${path}`, { method: method as 'GET', headers: { traceparent: THEIRS } });
    await answer.body.dump();
    expect([answer.statusCode, answer.headers['traceparent']]).toEqual([
      status,
      expect.stringMatching(new RegExp(`^00-${TRACE}-(?!${PARENT})[0-9a-f]{16}-01$`)),
    ]);
  });
});
