import { nap } from '../support/nap.js';
import { type Answer, running, settled, until } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { aHash, aSessionStream, aTime, aUlid, expectRecorded, recorded, sorted } from '../support/recorded.js';

type Item = Record<string, unknown>;
type Page = { session_id?: string; contracts: Item[]; total: number; next_cursor: string | null };

const HELLO = { capability: 'echo', parameters: { text: 'Hello, world!' } };
const NASTY = {
  text: 'nul \u0000, quote ", \u2028, ü, 😀',
  ['__proto__']: { admin: true },
  constructor: 1,
  '': [null, -0.5, 1e21, { '\u0000': [] }],
};

describeEachPlace('the main job', (make) => {
  const ao = running(make);
  const page = async (query: string): Promise<Page> => {
    const { status, body } = await ao.get(`/v1/contracts${query}`);
    expect([status, body]).toEqual([200, expect.anything()]);
    return body as Page;
  };

  it('a task goes in over HTTP, an agent does it, and the caller gets the answer with a receipt', async () => {
    const answer = await ao.orchestrate({ session_id: 'session_001', ...HELLO });
    expect(answer).toStrictEqual({
      success: true,
      data: { message: 'Echo: Hello, world!' },
      text: null,
      files: [],
      error: null,
      error_code: null,
      contract_id: aUlid,
      agent_id: 'agent_example_001',
      task_id: aUlid,
      timestamp: aTime,
      receipt: { stream: aSessionStream, seq: 2, hash: aHash },
    });
    await expectRecorded(ao.db, answer);
    const upper = await ao.orchestrate({ session_id: 'session_001', capability: 'uppercase', parameters: { text: 'hi' } });
    expect(upper.data).toEqual({ message: 'HI' });
    expect(upper.receipt).toMatchObject({ stream: answer.receipt.stream, seq: 4 });
  });

  it('a session shows both halves of its contracts, and the REQUEST how its RESPONSE ended', async () => {
    const answer = await ao.orchestrate({ session_id: 'both', ...HELLO, context: { user: 'u1' }, intent: 'to greet' });
    const { request, response } = await expectRecorded(ao.db, answer);
    const completed_at = answer.timestamp;
    const ended = { status: 'completed', text: null, files: [], error: null, error_code: null };
    const shared = { session_id: 'both', capability: 'echo', ...ended, task_id: answer.task_id, replay_of: null, erased: null };
    const halves = [
      {
        ...shared,
        contract_id: answer.contract_id,
        cause: null,
        contract_type: 'REQUEST',
        from_agent: 'orchestrator',
        to_agent: 'agent_example_001',
        parameters: HELLO.parameters,
        payload: HELLO.parameters,
        created_at: request.record['time'],
        completed_at,
        result: answer.data,
        in_reply_to: null,
        seq: 1,
        hash: request.hash,
        metadata: {
          asked: { capability: 'echo', intent: 'to greet' },
          context: { user: 'u1' },
          routing: { method: 'capability', registry: expect.any(Number), candidates: ['agent_example_001'] },
        },
      },
      {
        ...shared,
        contract_id: response.record['id'],
        cause: answer.contract_id,
        contract_type: 'RESPONSE',
        from_agent: 'agent_example_001',
        to_agent: 'orchestrator',
        parameters: null,
        payload: answer.data,
        created_at: completed_at,
        completed_at,
        result: answer.data,
        in_reply_to: answer.contract_id,
        seq: 2,
        hash: answer.receipt.hash,
        metadata: {},
      },
    ];
    expect(await page('?session_id=both')).toStrictEqual({ session_id: 'both', contracts: halves, total: 2, next_cursor: null });
    for (const { contract_id } of halves) {
      const { status, body } = await ao.get(`/v1/contracts/${contract_id}`);
      expect([status, body]).toEqual([200, { request: halves[0], response: halves[1] }]);
    }
  });

  it('no agent for a capability is a recorded failure, not an error page', async () => {
    const answer = await ao.orchestrate({ session_id: 'nobody', capability: 'levitate', parameters: { height: 3 } });
    expect(answer).toMatchObject({ success: false, data: null, error_code: 'no_agent', agent_id: null, receipt: { seq: 2 } });
    expect(answer.error).toContain('levitate');
    const { request } = await expectRecorded(ao.db, answer);
    expect(request.record).not.toHaveProperty('capability'); // a caller's word: it may stand only where it can be erased
    expect(request.payload).toMatchObject({ asked: { capability: 'levitate' }, parameters: { height: 3 } });
    const { contracts } = await page('?session_id=nobody');
    expect(contracts).toMatchObject([
      { contract_type: 'REQUEST', to_agent: null, status: 'failed', error: answer.error, error_code: 'no_agent' },
      { contract_type: 'RESPONSE', from_agent: 'orchestrator', status: 'failed', error: answer.error },
    ]);
  });

  it.each([
    ['by id, its only fitting capability named', { agent_id: 'moody', capability: 'mirrors' }, true],
    ['by an id nobody has', { agent_id: 'nobody' }, false],
    ['by id without saying which of its capabilities', { agent_id: 'moody' }, false],
    ['by id for what it does not offer', { agent_id: 'moody', capability: 'echo' }, false],
  ])('an agent can be asked %s', async (_case, wish, success) => {
    const answer = await ao.orchestrate({ session_id: 'wishes', ...wish });
    expect(answer).toMatchObject(success ? { success, agent_id: 'moody' } : { success, agent_id: null, error_code: 'no_agent' });
    expect((await expectRecorded(ao.db, answer)).request.payload).toMatchObject({ asked: wish });
  });

  it('\\u0000, emoji and __proto__ come back from agent, record and API as they went in', async () => {
    const session_id = 'a/b?c=d&e%20 ü 😀';
    const answer = await ao.orchestrate({ session_id, capability: 'mirrors', parameters: NASTY, context: NASTY });
    const asRecorded = JSON.stringify(sorted(NASTY));
    expect(asRecorded).toContain('"__proto__":{"admin":true}');
    const { parameters, context } = answer.data as Record<string, unknown>;
    expect([parameters, context].map((v) => JSON.stringify(sorted(v)))).toEqual([asRecorded, asRecorded]);
    const { request } = await expectRecorded(ao.db, answer);
    expect(JSON.stringify(request.payload['parameters'])).toBe(asRecorded);
    expect(request.payload['session']).toBe(session_id);
    const { contracts } = await page(`?session_id=${encodeURIComponent(session_id)}`);
    expect(contracts.map((c) => c['session_id'])).toEqual([session_id, session_id]);
    expect(JSON.stringify(contracts[0]!['parameters'])).toBe(asRecorded);
  });

  it('the REQUEST names the record in force that describes its agent', async () => {
    const { request } = await expectRecorded(ao.db, await ao.orchestrate({ session_id: 'to_record', ...HELLO }));
    const [registered, ...more] = await recorded(ao.db, 'e.stream = $1', ['default/agent/agent_example_001']);
    expect(more).toEqual([]);
    expect(registered!.record['type']).toBe('agent.registered');
    expect(request.record).toMatchObject({ to: 'agent_example_001', to_version: '1.0.0', to_record: registered!.hash });
    const { body } = await ao.get('/v1/agents');
    expect(body.agents[0]).toMatchObject({ record: registered!.hash, registered_at: registered!.record['time'] });
  });

  it('pages of a session stay put while events arrive', async () => {
    const told: Answer[] = [];
    const work = async (n: number) =>
      told.push(...(await Promise.all(Array.from({ length: n }, () => ao.orchestrate({ session_id: 'pages', ...HELLO })))));
    await work(5);
    const seen: Item[] = [];
    for (let cursor = '', pages = 0; pages < 20; pages++) {
      const { contracts, total, next_cursor } = await page(`?session_id=pages&limit=3${cursor && `&cursor=${cursor}`}`);
      expect(total).toBe(told.length * 2);
      seen.push(...contracts);
      if (next_cursor === null) break;
      cursor = next_cursor;
      if (pages < 3) await work(2);
    }
    expect(seen.map((c) => c['seq'])).toEqual(Array.from({ length: 22 }, (_, i) => i + 1));
    expect(new Set(seen.map((c) => c['hash'])).size).toBe(22);
  });

  it('all sessions together are listed newest first, and that stays put too', async () => {
    await settled(ao.db);
    const before = await page('?limit=1000');
    const seen: Item[] = [];
    for (let cursor = '', pages = 0; pages < 100; pages++) {
      const { contracts, next_cursor } = await page(`?limit=7${cursor && `&cursor=${cursor}`}`);
      seen.push(...contracts);
      if (next_cursor === null) break;
      cursor = next_cursor;
      await ao.orchestrate({ session_id: 'newest', ...HELLO });
      await settled(ao.db);
    }
    expect(before.contracts.length).toBeGreaterThan(14);
    expect(seen).toEqual(before.contracts);
    const [newest] = (await page('?limit=1')).contracts;
    expect(newest).toMatchObject({ session_id: 'newest', contract_type: 'RESPONSE' });
  });

  it('a listing is narrowed by agent, capability, status, type and time', async () => {
    const session_id = 'narrow';
    await ao.orchestrate({ session_id, ...HELLO });
    await ao.orchestrate({ session_id, capability: 'refuses' });
    await new Promise((wake) => setTimeout(wake, 5));
    const last = await ao.orchestrate({ session_id, capability: 'uppercase', parameters: { text: 'x' } });
    const { request } = await expectRecorded(ao.db, last);
    const seqs = async (filter: string) => (await page(`?session_id=${session_id}&${filter}`)).contracts.map((c) => c['seq']);
    const since = request.record['time'];
    expect(await seqs('to_agent=moody')).toEqual([3]);
    expect(await seqs('from_agent=moody')).toEqual([4]);
    expect(await seqs('capability=echo')).toEqual([1, 2]);
    expect(await seqs('status=failed')).toEqual([3, 4]);
    expect(await seqs('type=RESPONSE')).toEqual([2, 4, 6]);
    expect(await seqs(`since=${since}`)).toEqual([5, 6]);
    expect(await seqs(`until=${since}`)).toEqual([1, 2, 3, 4]);
    expect(await page('?session_id=nobody-has-this-id')).toEqual({
      session_id: 'nobody-has-this-id',
      contracts: [],
      total: 0,
      next_cursor: null,
    });
  });

  it('status, health and agents say how things are', async () => {
    await settled(ao.db); // the totals come from a follower
    const before = (await ao.get('/v1/status')).body;
    let during = before;
    const { parameters, wake } = await nap();
    const call = ao.orchestrate({ session_id: 'status', capability: 'sleeps', parameters });
    await until('the call is seen under way', async () => {
      during = (await ao.get('/v1/status')).body;
      return during.ledger.open_requests === 1;
    });
    expect(during.orchestrator.in_flight).toBe(1);
    await wake();
    await call;
    await settled(ao.db);
    const { body: status } = await ao.get('/v1/status');
    const { total_contracts: n, by_status } = before.contracts;
    expect(status).toMatchObject({
      orchestrator: { status: 'running', in_flight: 0, database: ao.db.embedded ? 'embedded' : 'postgresql' },
      agents: { total: 2, by_status: { available: 2 }, registered: ['agent_example_001', 'moody'] },
      contracts: {
        total_contracts: n + 1,
        total_sessions: before.contracts.total_sessions + 1,
        by_status: { ...by_status, completed: by_status.completed + 1 },
      },
      ledger: { pending: 0, open_requests: 0, events: before.ledger.events + 2, sequenced: before.ledger.events + 2 },
      followers: [{ name: 'tallies', lag: 0, parked: 0, error: null }],
      parked: 0,
    });
    const health = await ao.get('/v1/health');
    expect(health.body).toEqual({ status: 'healthy', service: 'agent-orchestrator', version: expect.any(String), timestamp: aTime });
    const { body: agents } = await ao.get('/v1/agents');
    expect(agents.total).toBe(2);
    expect(agents.agents[0]).toMatchObject({
      agent_id: 'agent_example_001',
      name: 'Example Agent',
      status: 'available',
      protocol: 'in-process',
      endpoint: null,
    });
    expect(agents.agents[0].capabilities.map((c: Item) => c['name'])).toEqual(['echo', 'uppercase']);
  });
});
