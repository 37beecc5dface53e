import request from 'supertest';
import { running, start, until } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { answers, TracePeer } from '../support/trace-peer.js';

const FAST = { TRACE_PAUSE_SECONDS: '0.05', TRACE_TRIES: '2' };
const TASK = { capability: 'echo', parameters: { text: 'hello' } };

describeEachPlace('an orchestrator with a Trace', (make) => {
  let peer: TracePeer;
  const app = running(make, async () => {
    peer = await TracePeer.start();
    return { TRACE_URL: peer.url, ...FAST };
  });
  const trace = async () => (await app.get('/v1/status')).body.integrations.trace;
  const forwarded = () =>
    until('everything is forwarded', async () => {
      // First sequenced, then forwarded: asked at once, an event could be neither any more nor yet.
      if ((await app.get('/v1/status')).body.ledger.pending > 0) return false;
      const { lag, retrying } = await trace();
      return lag === 0 && retrying === 0;
    });
  beforeEach(() => {
    peer.manner = () => false;
  });
  afterAll(() => peer.vanish());

  it('forwards both halves of a contract and its node, with the hashes of the record', async () => {
    const { contract_id, receipt, task_id } = await app.orchestrate({ session_id: 'first', context: { secret: 'stays' }, ...TASK });
    await forwarded();
    const events = await peer.events('first');
    expect(events).toHaveLength(2);
    const [asked, answered] = events;
    expect(asked).toMatchObject({
      event_type: 'contract.request',
      data: { contract_id, event_id: contract_id, from_agent: 'orchestrator', to_agent: 'agent_example_001', capability: 'echo' },
    });
    expect(asked!.data).toMatchObject({
      payload: { text: 'hello' },
      status: 'pending',
      result: null,
      error: null,
      seq: 1,
      prev: null,
      task_id,
    });
    expect(answered).toMatchObject({
      event_type: 'contract.response',
      data: { contract_id, in_reply_to: contract_id, status: 'completed', result: { message: 'Echo: hello' }, seq: 2 },
    });
    expect(answered!.data).toMatchObject({ hash: receipt.hash, prev: asked!.data['hash'], stream: receipt.stream });
    expect(await peer.nodes('first')).toMatchObject([{ node_id: contract_id, parent_id: null, metadata: { capability: 'echo', task_id } }]);
    expect(JSON.stringify(events)).not.toContain('stays');
  });

  it('is as quick with its answers while Trace is dead, shows the lag, and catches up', async () => {
    await peer.vanish();
    const began = Date.now();
    for (let i = 0; i < 5; i++) expect((await app.orchestrate({ session_id: 'dead', ...TASK })).success).toBe(true);
    expect(Date.now() - began).toBeLessThan(5000);
    await until('it shows', async () => (await trace()).status === 'unavailable' && (await trace()).lag >= 10);
    const { status, breaker, last_error, url, lag_seconds, parked } = await trace();
    expect({ status, parked, url }).toEqual({ status: 'unavailable', parked: 0, url: peer.url });
    expect(['closed', 'open', 'half open']).toContain(breaker);
    expect(last_error).toContain('ECONNREFUSED');
    expect(lag_seconds).toBeGreaterThan(0);
    expect((await app.get('/v1/status')).body.integrations).toMatchObject({ all_healthy: false, memagent: { status: 'off' } });
    await peer.appear();
    await forwarded();
    expect(await peer.events('dead')).toHaveLength(10);
    expect((await app.get('/v1/status')).body.integrations).toMatchObject({
      all_healthy: true,
      trace: { status: 'healthy', lag_seconds: 0 },
    });
  });

  it('shows what is parked, and tries it again when asked', async () => {
    peer.manner = (request_, response) =>
      request_.method === 'POST' && request_.url === '/v1/sessions/refused/events' && answers(400)(request_, response);
    await app.orchestrate({ session_id: 'refused', ...TASK });
    await until('it is parked', async () => (await trace()).parked === 1);
    expect((await trace()).status).toBe('degraded');
    const { body } = await app.get('/v1/trace');
    expect(body).toMatchObject({
      status: 'degraded',
      waiting_streams: [{ session_id: 'refused', error: 'Trace refused the event: HTTP 400', tries: 2, retry_at: null }],
    });
    const audit = await app.post('/v1/trace/audit', { session_id: 'refused' });
    expect(audit.body).toMatchObject({
      verdict: 'missing',
      missing: [
        { seq: 1, why: 'parked' },
        { seq: 2, why: 'parked' },
      ],
    });
    peer.manner = () => false;
    expect((await app.post('/v1/trace/retry-parked', { session_id: 'refused' })).body).toEqual({ retried: 1 });
    await forwarded();
    expect(await peer.events('refused')).toHaveLength(2);
    expect((await app.post('/v1/trace/retry-parked')).body).toEqual({ retried: 0 });
  });

  it('sends a session again, or everything from an idx on, with the same event ids', async () => {
    for (const session_id of ['again', 'other']) for (let i = 0; i < 2; i++) await app.orchestrate({ session_id, ...TASK });
    await forwarded();
    const ids = (await peer.events('again')).map(({ data }) => data.event_id);
    expect((await app.post('/v1/trace/replay', { session_id: 'again' })).body).toEqual({ events: 4 });
    await forwarded();
    expect((await peer.events('again')).map(({ data }) => data.event_id)).toEqual([...ids, ...ids]);
    expect(await peer.events('other')).toHaveLength(4);
    const { cursor } = (await app.get('/v1/status')).body.followers.find(({ name }: { name: string }) => name === 'trace');
    expect((await app.post('/v1/trace/replay', { from: cursor - 3 })).body).toEqual({ events: 4 });
    await until('they came again', async () => (await peer.events('other')).length + (await peer.events('again')).length === 16);
    await forwarded();
    expect((await app.post('/v1/trace/audit', { session_id: 'again' })).body).toMatchObject({
      verdict: 'same',
      events: 4,
      different: [],
      unknown: [],
    });
  });

  it('finds each difference between Trace and the ledger', async () => {
    await app.orchestrate({ session_id: 'audited', ...TASK });
    await app.orchestrate({ session_id: 'audited', ...TASK });
    await forwarded();
    const audited = async () => (await app.post('/v1/trace/audit', { session_id: 'audited' })).body;
    expect(await audited()).toMatchObject({ verdict: 'same', events: 4, held: 4 });
    const events = await peer.events('audited');
    const holds = async (list: object[]) => {
      peer.manner = (asked, response) =>
        asked.url === '/v1/sessions/audited/events' &&
        answers(200, JSON.stringify({ session_id: 'audited', events: list }))(asked, response);
      return audited();
    };
    expect(await holds(events.slice(1))).toMatchObject({ verdict: 'missing', missing: [{ seq: 1, why: 'passed' }] });
    expect(await holds([...events, events[2]!])).toMatchObject({ verdict: 'same', repeated: [{ seq: 3, times: 2 }] });
    const forged = { ...events[3]!, data: { ...events[3]!.data, result: { message: 'never said' } } };
    expect(await holds([...events.slice(0, 3), forged])).toMatchObject({
      verdict: 'different',
      different: [{ seq: 4, fields: ['result'] }],
    });
    expect(await holds(events.toReversed())).toMatchObject({
      verdict: 'different',
      misplaced: [{ seq: 2 }, { seq: 3 }, { seq: 4 }],
    });
    const foreign = { event_type: 'contract.request', data: { event_id: 'from elsewhere' } };
    expect(await holds([...events, foreign])).toMatchObject({ verdict: 'different', unknown: [{ event_id: 'from elsewhere' }] });
  });

  it('says why it cannot audit', async () => {
    await app.orchestrate({ session_id: 'unread', ...TASK });
    await forwarded();
    const audit = () => app.post('/v1/trace/audit', { session_id: 'unread' });
    peer.manner = answers(500);
    expect((await audit()).body).toMatchObject({
      status: 503,
      code: 'integration_unavailable',
      detail: expect.stringContaining('HTTP 500'),
    });
    peer.manner = answers(200, '<html>');
    expect((await audit()).body).toMatchObject({
      code: 'integration_unavailable',
      detail: expect.stringContaining('something else than events'),
    });
    peer.manner = () => false;
    expect((await app.post('/v1/trace/audit', { session_id: 'nobody' })).body).toMatchObject({ status: 404, code: 'not_found' });
    expect((await app.post('/v1/trace/audit', {})).status).toBe(400);
    expect((await app.post('/v1/trace/replay', {})).status).toBe(400);
    expect((await app.post('/v1/trace/replay', { session_id: 'unread', from: 0 })).status).toBe(400);
    expect((await app.post('/v1/trace/replay', { from: -1 })).status).toBe(400);
    expect((await app.post('/v1/trace/replay', { session_id: 'nobody' })).status).toBe(404);
  });
});

describeEachPlace('an orchestrator without a Trace', (make) => {
  it.each<Record<string, string>>([{}, { TRACE_URL: 'off' }])('has no worker and no follower for one: %j', async (settings) => {
    const place = await make();
    const server = await start(place, settings);
    try {
      const status = (await request(server.url).get('/v1/status')).body;
      expect(status.integrations).toEqual({ memagent: { status: 'off' }, trace: { status: 'off' }, all_healthy: true });
      expect(Object.keys(status.workers).filter((name) => name.includes('trace'))).toEqual([]);
      expect(status.followers.map(({ name }: { name: string }) => name)).toEqual(['tallies']);
      expect((await request(server.url).post('/v1/trace/replay').send({ from: 0 })).body).toMatchObject({
        status: 409,
        code: 'integration_off',
      });
    } finally {
      await server.close();
      await place.drop();
    }
  });

  it('sends nothing of what happened before Trace was connected until it is asked to, and everything that happened while it was off again', async () => {
    const peer = await TracePeer.start();
    const place = await make();
    const session = async (
      session_id: string,
      settings: Record<string, string>,
      then: (url: string) => Promise<void> = async () => undefined,
    ) => {
      const server = await start(place, settings);
      try {
        expect(
          (
            await request(server.url)
              .post('/v1/orchestrate')
              .send({ session_id, ...TASK })
          ).status,
        ).toBe(200);
        const status = async () => (await request(server.url).get('/v1/status')).body;
        await until('all is sequenced', async () => (await status()).ledger.pending === 0);
        if (settings['TRACE_URL']) await until('it is forwarded', async () => (await status()).integrations.trace.lag === 0);
        await then(server.url);
      } finally {
        await server.close();
      }
    };
    await session('before', {});
    await session('with', { TRACE_URL: peer.url, ...FAST });
    expect([...(await peer.all()).keys()]).toEqual(['with']);
    await session('meanwhile', {});
    await session('after', { TRACE_URL: peer.url, ...FAST }, async (url) => {
      expect([...(await peer.all()).keys()].sort()).toEqual(['after', 'meanwhile', 'with']);
      await request(url).post('/v1/trace/replay').send({ from: 0 });
      await until('history came', async () => (await peer.all()).has('before'));
    });
    await place.drop();
    await peer.vanish();
  });
});
