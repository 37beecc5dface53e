import { nap } from '../support/nap.js';
import { running, until } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { aSessionStream, aTime } from '../support/recorded.js';

interface Item {
  session_id: string;
  stream: string;
  state: string;
  close_reason: string | null;
  events: number;
  created_at: string;
  last_event_at: string;
  earlier_streams: string[];
}

describeEachPlace('sessions', (make) => {
  // Idle after 0.6 s.
  const ao = running(make, async () => ({ AGENT_SESSION_TIMEOUT_MINUTES: '0.01' }));
  const work = (session_id: string) => ao.orchestrate({ session_id, capability: 'mirrors' });
  const one = async (session: string): Promise<Item> => {
    const { status, body } = await ao.get(`/v1/sessions/${encodeURIComponent(session)}`);
    expect([status, body]).toEqual([200, expect.anything()]);
    return body as Item;
  };
  const page = async (query: string) => {
    const { status, body } = await ao.get(`/v1/sessions${query}`);
    expect([status, Object.keys(body)]).toEqual([200, ['sessions', 'next_cursor']]);
    return body as { sessions: Item[]; next_cursor: string | null };
  };

  it.each(['plain', 'a/b?c=d', '100%', 'ü 😀', 'x'.repeat(128)])(
    'can be read one by one, whatever they are called: %s',
    async (session_id) => {
      const answer = await work(session_id);
      expect(await one(session_id)).toEqual({
        session_id,
        stream: answer.receipt.stream,
        state: 'open',
        close_reason: null,
        events: 2,
        open_requests: 0,
        created_at: aTime,
        last_event_at: answer.timestamp,
        closed_at: null,
        earlier_streams: [],
      });
    },
  );

  it('show what is open', async () => {
    const { parameters, wake } = await nap();
    const answer = ao.orchestrate({ session_id: 'busy', capability: 'sleeps', parameters });
    await until('it is seen', async () => (await ao.get('/v1/sessions/busy')).body.open_requests === 1);
    await wake();
    await answer;
    expect(await one('busy')).toMatchObject({ events: 2, open_requests: 0 });
  });

  it('that were closed say since when and why', async () => {
    await work('closed');
    await ao.post('/v1/sessions/closed/close').expect(200);
    const closed = await one('closed');
    expect(closed).toMatchObject({ state: 'closed', close_reason: 'requested', events: 3, closed_at: aTime });
    expect((await page('')).sessions[0]).toEqual(closed);
  });

  it('that nobody opened are a 404', async () => {
    const { status, body } = await ao.get('/v1/sessions/nobody-has-this-id');
    expect([status, body.code, body.detail]).toEqual([404, 'not_found', expect.stringContaining('nobody-has-this-id')]);
  });

  it('go on after idleness in another stream, in the same place of the list', async () => {
    const { receipt } = await work('naps');
    await work('later');
    await until('it sleeps', async () => (await one('naps')).state === 'closed');
    const asleep = await one('naps');
    expect(asleep).toMatchObject({ close_reason: 'idle', events: 3, stream: receipt.stream, earlier_streams: [] });
    await work('naps');
    const awake = await one('naps');
    expect(awake).toMatchObject({ state: 'open', close_reason: null, events: 5, created_at: asleep.created_at, stream: aSessionStream });
    expect(awake.earlier_streams).toEqual([receipt.stream]);
    expect(awake.stream).not.toBe(receipt.stream);
    const names = (await page('?limit=1000')).sessions.map((s) => s.session_id);
    expect(names.indexOf('later')).toBe(names.indexOf('naps') - 1);
  });

  it('are listed newest first, and pages stay put while sessions come and old ones go on', async () => {
    for (let i = 0; i < 10; i++) await work(`listed ${i}`);
    const before = (await page('?limit=1000')).sessions.map((s) => s.session_id);
    expect(before.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, i) => `listed ${9 - i}`));
    const seen: string[] = [];
    for (let cursor = '', pages = 0; pages < 50; pages++) {
      const { sessions, next_cursor } = await page(`?limit=3${cursor && `&cursor=${cursor}`}`);
      seen.push(...sessions.map((s) => s.session_id));
      if (next_cursor === null) break;
      cursor = next_cursor;
      await work(`new ${pages}`);
      if (pages > 0) continue;
      await until('an old one sleeps', async () => (await one(before.at(-1)!)).state === 'closed');
      await work(before.at(-1)!); // gets a new stream; it has not been listed yet
    }
    expect(seen).toEqual(before);
  });

  it.each(['limit=0', 'limit=1001', 'cursor=2', 'cursor=01M7Z0JAKBKK1K5SNPKR5JD0Y', 'colour=red'])('?%s is a 400', async (query) => {
    const { status, body } = await ao.get(`/v1/sessions?${query}`);
    expect([status, body.code, body.detail]).toEqual([400, 'invalid_request', expect.stringContaining(query.split('=')[0]!)]);
  });

  it('all go to sleep if nobody asks for more', async () => {
    await until('they sleep', async () => (await page('?limit=1000')).sessions.every((s) => s.state === 'closed'));
  });
});
