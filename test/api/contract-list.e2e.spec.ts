import { running, settled, until } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';

interface Item {
  contract_id: string;
  session_id: string;
  contract_type: 'REQUEST' | 'RESPONSE';
  from_agent: string | null;
  to_agent: string | null;
  capability: string | null;
  status: string;
  created_at: string;
  hash: string;
}

describeEachPlace('listing contracts', (make) => {
  const ao = running(make);
  const page = async (query: Record<string, string | number>) => {
    const { status, body } = await ao.get(`/v1/contracts?${new URLSearchParams(query as Record<string, string>)}`);
    expect([status, body]).toEqual([200, expect.anything()]);
    return body as { contracts: Item[]; total: number; next_cursor: string | null };
  };
  const walk = async (query: Record<string, string | number>, between: () => Promise<unknown> = async () => undefined) => {
    const seen: Item[] = [];
    for (let cursor: string | null = '', pages = 0; cursor !== null && pages < 200; pages++) {
      const next: Awaited<ReturnType<typeof page>> = await page({ ...query, ...(cursor && { cursor }) });
      seen.push(...next.contracts);
      cursor = next.next_cursor;
      if (cursor !== null) await between();
    }
    return seen;
  };
  let middle: string;
  let all: Item[];

  beforeAll(async () => {
    const work = async (session_id: string) => {
      await ao.orchestrate({ session_id, capability: 'echo', parameters: { text: 'a' } });
      await ao.orchestrate({ session_id, capability: 'uppercase', parameters: { text: 'a' } });
      await ao.orchestrate({ session_id, capability: 'mirrors' });
      await ao.orchestrate({ session_id, capability: 'refuses' });
      await ao.orchestrate({ session_id, capability: 'never-answers', timeout_seconds: 0.05 });
      await ao.orchestrate({ session_id, capability: 'nobody-offers-this' });
    };
    await work('one');
    const cancelled = ao.orchestrate({ session_id: 'cancelled', capability: 'obeys', timeout_seconds: 10 });
    await until('it is open', async () => (await page({ session_id: 'cancelled' })).contracts.length === 1);
    await ao.post('/v1/sessions/cancelled/close?cancel=true').expect(200);
    await cancelled;
    await new Promise((wake) => setTimeout(wake, 5));
    await work('two');
    middle = (await page({ session_id: 'two' })).contracts[0]!.created_at;
    await settled(ao.db);
    all = (await page({ limit: 1000 })).contracts;
    expect(all).toHaveLength(26);
  });

  /** Every filter alone, and some together; what must pass is told here once more, over what is listed without any. */
  const FILTERS: [string, () => Record<string, string>, (item: Item) => boolean][] = [
    ['session_id', () => ({ session_id: 'one' }), (c) => c.session_id === 'one'],
    ['from_agent', () => ({ from_agent: 'moody' }), (c) => c.from_agent === 'moody'],
    ['from_agent=orchestrator', () => ({ from_agent: 'orchestrator' }), (c) => c.from_agent === 'orchestrator'],
    ['to_agent', () => ({ to_agent: 'moody' }), (c) => c.to_agent === 'moody'],
    ['capability', () => ({ capability: 'echo' }), (c) => c.capability === 'echo'],
    ['status=failed', () => ({ status: 'failed' }), (c) => c.status === 'failed'],
    ['status=cancelled', () => ({ status: 'cancelled' }), (c) => c.status === 'cancelled'],
    ['status=completed', () => ({ status: 'completed' }), (c) => c.status === 'completed'],
    ['type', () => ({ type: 'RESPONSE' }), (c) => c.contract_type === 'RESPONSE'],
    ['since', () => ({ since: middle }), (c) => c.created_at >= middle],
    ['until', () => ({ until: middle }), (c) => c.created_at < middle],
    [
      'agent, status and type',
      () => ({ to_agent: 'moody', status: 'failed', type: 'REQUEST' }),
      (c) => c.to_agent === 'moody' && c.status === 'failed' && c.contract_type === 'REQUEST',
    ],
    [
      'session, capability and type',
      () => ({ session_id: 'two', capability: 'uppercase', type: 'RESPONSE' }),
      (c) => c.session_id === 'two' && c.capability === 'uppercase' && c.contract_type === 'RESPONSE',
    ],
    [
      'agent, status and time',
      () => ({ from_agent: 'moody', status: 'failed', since: middle }),
      (c) => c.from_agent === 'moody' && c.status === 'failed' && c.created_at >= middle,
    ],
    [
      'a time with another offset, and its end',
      () => ({ since: offset(middle), until: '2999-01-01T00:00:00+02:00' }),
      (c) => c.created_at >= middle,
    ],
    ['two ends of a RESPONSE', () => ({ from_agent: 'moody', to_agent: 'orchestrator' }), (c) => c.from_agent === 'moody'],
  ];

  it.each(FILTERS)('by %s shows exactly what passes, page by page too, and counts it', async (_what, query, passes) => {
    const expected = all.filter(passes);
    expect(expected.length).toBeGreaterThan(0);
    expect(expected.length).toBeLessThan(all.length);
    const inOrder = 'session_id' in query() ? [...expected].reverse() : expected;
    expect(await page({ ...query(), limit: 1000 })).toMatchObject({ contracts: inOrder, total: expected.length, next_cursor: null });
    expect(await walk({ ...query(), limit: 2 })).toEqual(inOrder);
  });

  it('by what nothing passes is empty', async () => {
    expect(await page({ from_agent: 'moody', to_agent: 'moody' })).toEqual({ contracts: [], total: 0, next_cursor: null });
    expect(await page({ status: 'pending' })).toEqual({ contracts: [], total: 0, next_cursor: null });
    expect(await page({ until: '2000-01-01T00:00:00Z' })).toEqual({ contracts: [], total: 0, next_cursor: null });
  });

  it.each<[string, Record<string, string | number>]>([
    ['all sessions', { limit: 3 }],
    ['all sessions, filtered', { limit: 3, capability: 'echo' }],
    ['one session', { limit: 3, session_id: 'one' }],
  ])('of %s page by page misses nothing and shows nothing twice while a writer writes', async (_what, query) => {
    await settled(ao.db);
    const before = (await page({ ...query, limit: 1000 })).contracts;
    let stop = false;
    const writer = (async () => {
      for (let i = 0; !stop && i < 500; i++) {
        await ao.orchestrate({ session_id: i % 2 ? 'one' : `written ${i}`, capability: 'echo', parameters: { text: 'x' } });
      }
    })();
    const seen = await walk(query, () => new Promise((wake) => setTimeout(wake, 10)));
    stop = true;
    await writer;
    const hashes = seen.map((c) => c.hash);
    expect(new Set(hashes).size).toBe(hashes.length);
    const known = new Set(before.map((c) => c.hash));
    expect(hashes.filter((hash) => known.has(hash))).toEqual(before.map((c) => c.hash));
    const after = (await page({ ...query, limit: 1000 })).total;
    expect(after).toBeGreaterThan(before.length); // it did write meanwhile
  });

  it.each([
    ['of another listing', 'session_id=one&cursor=77'],
    ['of a session', 'cursor=0.3'],
    ['that is none', 'cursor=page2'],
    ['that is empty', 'cursor='],
    ['that is negative', 'cursor=-1'],
    ['beyond all numbers', `cursor=${'9'.repeat(30)}`],
  ])('with a cursor %s is a 400 that says so', async (_what, query) => {
    const { status, body } = await ao.get(`/v1/contracts?${query}`);
    expect([status, body]).toEqual([
      400,
      {
        type: 'about:blank',
        title: 'invalid request',
        status: 400,
        code: 'invalid_request',
        detail: expect.stringMatching(/^cursor ".*next_cursor as it is$/),
      },
    ]);
  });
});

/** The same moment, as a clock in Kathmandu has it. */
function offset(time: string): string {
  return new Date(Date.parse(time) + 345 * 60_000).toISOString().replace('Z', '+05:45');
}
