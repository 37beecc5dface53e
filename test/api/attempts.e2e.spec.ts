import type { TaskTree } from '../../src/orchestration/tasks.queries.js';
import { type Answer, type Body, running, start, until } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, anyPlace } from '../support/place.js';
import { countEvents, expectRecorded, recorded } from '../support/recorded.js';
import { breaks, busy, good, Held, Script } from '../support/scripted.js';

const refuses = says('{"success":false,"error":"not today"}');
const garbage = says('I am fine, thank you');

const CAPABILITIES = 'sends sends-once looks-up shared lonely fragile single no-queue paused hangs held mixed'.split(' ');
const script = new Script(CAPABILITIES);
const capabilities = (...names: string[]) => names.map((name) => ({ name, idempotent: name === 'looks-up' }));

describe('a task that fails', () => {
  const peers: Peer[] = [];
  const ao = running(anyPlace, async () => {
    peers.push(await script.start(), await script.start());
    const gone = await startPeer({});
    await gone.close();
    const [one, two] = peers.map(({ url }) => ({ protocol: 'http', endpoint: url }));
    const AGENTS_FILE = await agentsFile([
      { agent_id: 'gone', name: 'Gone', protocol: 'http', endpoint: gone.url, capabilities: capabilities('shared', 'lonely') },
      { agent_id: 'one', name: 'One', ...one, capabilities: capabilities('sends', 'sends-once', 'looks-up') },
      { agent_id: 'two', name: 'Two', ...two, capabilities: capabilities('sends', 'looks-up', 'shared') },
      {
        ...{ agent_id: 'fragile', name: 'Fragile', ...one, capabilities: capabilities('fragile') },
        breaker: { failures: 2, pause_seconds: 0.3 },
      },
      { agent_id: 'single', name: 'Single', ...one, capabilities: capabilities('single'), max_concurrency: 1 },
      { agent_id: 'no-queue', name: 'No queue', ...one, capabilities: capabilities('no-queue'), max_concurrency: 1, max_queue: 0 },
      { agent_id: 'paused', name: 'Paused', ...one, capabilities: capabilities('paused') },
      { agent_id: 'hangs', name: 'Hangs', ...one, capabilities: capabilities('hangs'), breaker: { failures: 100, patience_seconds: 0.1 } },
      { agent_id: 'sure', name: 'Sure', ...one, capabilities: [{ name: 'mixed', idempotent: true }] },
      { agent_id: 'unsure', name: 'Unsure', ...two, capabilities: [{ name: 'mixed' }] },
      { agent_id: 'held', name: 'Held', ...one, capabilities: capabilities('held') },
    ]);
    return { AGENTS_FILE, MAX_CONCURRENT_REQUESTS: '4' };
  });
  afterAll(() => Promise.all(peers.map((peer) => peer.close())));
  beforeEach(() => script.clear());

  let serial = 0;
  const session = () => `attempts ${++serial}`;
  const ask = (capability: string, more: Body = {}, headers: Record<string, string> = {}) =>
    ao.orchestrate({ session_id: session(), capability, ...more }, headers);
  const contractsOf = (answer: Answer) => recorded(ao.db, 'e.stream = $1', [answer.receipt.stream]);
  const status = async () => (await ao.get('/v1/status')).body as { agents: { guarded: object[] }; orchestrator: Record<string, number> };

  it('because its agent cannot be reached goes to the next one: two contracts of one task, each the cause of the next', async () => {
    const answer = await ask('shared');
    expect(answer).toMatchObject({
      success: true,
      agent_id: 'two',
      attempts: [
        { agent_id: 'gone', success: false, error_code: 'agent_unreachable' },
        { agent_id: 'two', success: true, error_code: null, contract_id: answer.contract_id },
      ],
    });
    const [first, failure, second, result] = await contractsOf(answer);
    expect([first, failure, second, result].map((event) => event!.record['task'])).toEqual(Array(4).fill(answer.task_id));
    expect(second!.record).toMatchObject({ id: answer.contract_id, cause: failure!.record['id'], deadline: first!.record['deadline'] });
    expect(failure!.payload['next']).toEqual({ contract_id: answer.contract_id, pause_ms: 0 });
    expect(result!.payload).not.toHaveProperty('next');
    expect(first!.payload['routing']).not.toHaveProperty('attempt');
    expect(second!.payload['routing']).toMatchObject({
      attempt: 2,
      after: { contract_id: first!.record['id'], agent_id: 'gone', error_code: 'agent_unreachable' },
    });
    await expectRecorded(ao.db, answer);
  });

  it('because nobody can be reached is tried three times', async () => {
    const answer = await ask('lonely');
    expect(answer).toMatchObject({ success: false, error_code: 'agent_unreachable', agent_id: 'gone' });
    expect((answer as Answer & { attempts: object[] }).attempts).toHaveLength(3);
    expect(await contractsOf(answer)).toHaveLength(6);
  });

  it('as a step of a plan is asked again as that step, and the next one follows from its last attempt', async () => {
    script.manners['sends-once'] = [busy(), good];
    const plan = { mode: 'sequential', steps: [{ capability: 'sends-once' }, { capability: 'looks-up' }] };
    const { success, task_id, contract_id } = await ao.orchestrate({ session_id: 'planned', plan });
    const { contracts } = (await ao.get(`/v1/tasks/${task_id}`).expect(200)).body as TaskTree;
    expect([success, contracts.map((c) => c.error_code)]).toEqual([true, [null, 'agent_busy', null, null]]);
    expect(contracts.map((c) => (c.metadata['step'] as { place: string } | undefined)?.place)).toEqual([undefined, '1', '1', '2']);
    expect(contracts.map((c) => c.parent)).toEqual([null, contract_id, contract_id, contract_id]);
    const [, first, second] = contracts;
    expect(contracts.map((c) => c.cause)).toEqual([null, contract_id, first!.response_id, second!.response_id]);
  });

  it('because its agent is busy is asked again, no sooner than the agent wants', async () => {
    script.manners['sends-once'] = [busy(1), good];
    expect(await ask('sends-once')).toMatchObject({ success: true, attempts: [{ error_code: 'agent_busy' }, { success: true }] });
    const [first, second] = script.times['sends-once']!;
    expect(second! - first!).toBeGreaterThanOrEqual(990);
  });

  it('is answered at once when the agent wants to be left alone until after the deadline', async () => {
    script.manners['sends-once'] = [busy(30, 503)];
    const from = Date.now();
    const answer = await ask('sends-once', { timeout_seconds: 5 });
    expect(answer).toMatchObject({ success: false, error_code: 'agent_busy', error: expect.stringContaining('503') });
    expect(answer).not.toHaveProperty('attempts');
    expect(Date.now() - from).toBeLessThan(3000);
  });

  it.each([
    ['breaks down', breaks, 'agent_failed'],
    ['answers what cannot be read', garbage, 'agent_invalid_response'],
  ])('because its agent %s is not tried again, unless it may be done twice', async (_what, manner, code) => {
    script.manners['sends'] = [manner];
    expect(await ask('sends')).toMatchObject({ success: false, error_code: code });
    expect(script.asked('sends')).toBe(1);
    script.manners['looks-up'] = [manner, good];
    const answer = (await ask('looks-up')) as Answer & { attempts: { agent_id: string }[] };
    expect(answer).toMatchObject({ success: true, attempts: [{ error_code: code }, { success: true }] });
    expect(answer.attempts.map(({ agent_id }) => agent_id).sort()).toEqual(['one', 'two']);
    expect(script.asked('looks-up')).toBe(2);
  });

  it('and may be done twice by its agent only is not given to another who does not say so', async () => {
    script.manners['mixed'] = [breaks];
    const answer = (await ask('mixed')) as Answer & { attempts: { agent_id: string }[] };
    expect(answer).toMatchObject({ success: false, error_code: 'agent_failed' });
    expect(answer.attempts.map(({ agent_id }) => agent_id)).toEqual(['sure', 'sure', 'sure']);
    const [first] = await contractsOf(answer);
    const named = (first!.payload['routing'] as { candidates: { agent_id: string }[] }).candidates.map(({ agent_id }) => agent_id);
    expect(named).toEqual(['sure', 'unsure']); // it could have had the first attempt
  });

  it('and whose agent is stopped before the attempt that was announced ends with that one: nobody was called', async () => {
    script.manners['sends-once'] = [busy(3), good];
    const session_id = session();
    const asking = ao.orchestrate({ session_id, capability: 'sends-once' });
    await until('the first attempt is on record', async () => (await ao.get(`/v1/contracts?session_id=${session_id}`)).body.total === 2);
    await ao.post('/v1/agents/one/stop').expect(200);
    const answer = await asking;
    await ao.post('/v1/agents/one/start').expect(200);
    expect(answer).toMatchObject({
      error_code: 'no_agent',
      agent_id: null,
      attempts: [{ error_code: 'agent_busy' }, { error_code: 'no_agent' }],
    });
    const [, failure, second] = await contractsOf(answer);
    expect(failure!.payload['next']).toMatchObject({ contract_id: second!.record['id'] });
    expect(second!.payload['routing']).toMatchObject({ attempt: 2, passed_over: [{ agent_id: 'one', reason: 'stopped' }] });
    expect(script.asked('sends-once')).toBe(1);
  });

  it('because its agent says that it cannot do it is not tried again', async () => {
    script.manners['looks-up'] = [refuses];
    expect(await ask('looks-up')).toMatchObject({ success: false, error_code: 'agent_failed', error: 'not today' });
    expect(script.asked('looks-up')).toBe(1);
  });

  it('under an Idempotency-Key runs while it waits for its next attempt, and has the answer of the last one for ever', async () => {
    script.manners['sends-once'] = [busy(1), good];
    const body = { session_id: session(), capability: 'sends-once' };
    const headers = { 'idempotency-key': 'attempts' };
    const first = ao.post('/v1/orchestrate', body, headers).then((answer) => answer); // sent now, awaited below
    await until(
      'the first attempt is on record',
      async () => (await ao.get(`/v1/contracts?session_id=${body.session_id}`)).body.total === 2,
    );
    const meanwhile = await ao.post('/v1/orchestrate', body, headers);
    expect([meanwhile.status, meanwhile.body.code]).toEqual([409, 'key_in_flight']);
    const told = await first;
    expect(told.body).toMatchObject({ success: true, attempts: [{ success: false }, { success: true }] });
    const again = await ao.post('/v1/orchestrate', body, headers);
    expect([again.status, again.text]).toEqual([200, told.text]);
    expect(script.asked('sends-once')).toBe(2);
  });

  it('and whose session is closed before its next attempt is answered as it ended', async () => {
    script.manners['sends-once'] = [busy(1), good];
    const body = { session_id: session(), capability: 'sends-once', timeout_seconds: 1.5 };
    const headers = { 'idempotency-key': 'closed meanwhile' };
    const answering = ao.orchestrate(body, headers);
    const contracts = `/v1/contracts?session_id=${body.session_id}`;
    await until('the first attempt is on record', async () => (await ao.get(contracts)).body.total === 2);
    await ao.post(`/v1/sessions/${body.session_id}/close`).expect(200);
    const told = await answering;
    expect(told).toMatchObject({ success: false, error_code: 'agent_busy' });
    expect(script.asked('sends-once')).toBe(1);
    // An attempt that was announced and not made may still be under way for all another process knows, until the deadline.
    await until('the key has its answer', async () => (await ao.post('/v1/orchestrate', body, headers)).status === 200);
    expect(await ao.orchestrate(body, headers)).toEqual(told);
  });

  it('twice in a row opens the breaker of this agent: nobody calls it, one call tries it after the pause, and both are on its stream', async () => {
    script.manners['fragile'] = [breaks, breaks, good];
    for (const _ of [1, 2]) expect(await ask('fragile')).toMatchObject({ error_code: 'agent_failed' });
    const refused = await ask('fragile');
    expect(refused).toMatchObject({ success: false, error_code: 'breaker_open', error: expect.stringContaining('fragile') });
    await expectRecorded(ao.db, refused);
    expect(script.asked('fragile')).toBe(2);
    expect((await status()).agents.guarded).toEqual([expect.objectContaining({ agent_id: 'fragile', running: 0, waiting: 0 })]);
    expect((await ao.get('/metrics')).text).toMatch(/agent_orchestrator_agent_breaker\{agent="fragile"\} (1|0\.5)/);
    let last: Answer = refused;
    await until('the breaker lets a call through', async () => {
      last = await ask('fragile');
      return last.error_code !== 'breaker_open';
    });
    expect(last).toMatchObject({ success: true });
    expect((await status()).agents.guarded).toEqual([]);
    const events = () => recorded(ao.db, `e.stream = 'default/agent/fragile' AND e.type = 'agent.breaker'`, []);
    await until('it is on record that it closed', async () => (await events()).length === 2);
    expect((await events()).map(({ record, payload }) => [record['breaker'], payload['reason']])).toEqual([
      ['open', '2 calls in a row failed, the last one agent_failed'],
      ['closed', 'a call went well again'],
    ]);
  });

  it('by hanging speaks against the agent', async () => {
    script.manners['hangs'] = [() => undefined];
    for (const _ of [1, 2, 3]) expect(await ask('hangs', { timeout_seconds: 0.15 })).toMatchObject({ error_code: 'agent_timeout' });
    await until('the agent is in error', async () => (await ao.get('/v1/agents/hangs')).body.status === 'error');
  });

  it('is not what happens to one that waits for an agent with as many calls as it takes', async () => {
    const held = new Held();
    script.manners['single'] = [held.manner];
    const answers = [1, 2, 3].map((n) => ask('single', { parameters: { n } }));
    for (const _ of [1, 2, 3]) {
      await until('the agent is called', () => held.waiting.length === 1);
      held.release();
    }
    expect((await Promise.all(answers)).map((answer) => [answer.success, 'attempts' in answer])).toEqual(Array(3).fill([true, false]));
    expect(held.most).toBe(1);
  });

  it('that waits so until its deadline ends agent_busy, uncalled', async () => {
    const held = new Held();
    script.manners['single'] = [held.manner];
    const first = ask('single');
    await until('the agent is called', () => held.waiting.length === 1);
    const late = await ask('single', { timeout_seconds: 0.2 });
    expect(late).toMatchObject({ success: false, error_code: 'agent_busy', agent_id: null });
    const [request] = await contractsOf(late);
    expect(request!.payload['routing']).toMatchObject({ passed_over: [{ agent_id: 'single', reason: 'over_limit' }] });
    held.release();
    await first;
    expect(held.waiting).toEqual([]);
  });

  it('with no room to wait ends agent_busy at once', async () => {
    const held = new Held();
    script.manners['no-queue'] = [held.manner];
    const first = ask('no-queue');
    await until('the agent is called', () => held.waiting.length === 1);
    expect(await ask('no-queue')).toMatchObject({ success: false, error_code: 'agent_busy' });
    held.release();
    expect(await first).toMatchObject({ success: true });
  });

  it('because its agent is stopped waits with queue: true until it is started, or its deadline, and leaves nothing on record meanwhile', async () => {
    const done = { session_id: session(), capability: 'paused', queue: true };
    const before = await ao.orchestrate(done, { 'idempotency-key': 'paused' });
    await ao.post('/v1/agents/paused/stop').expect(200);
    expect(await ao.orchestrate(done, { 'idempotency-key': 'paused' })).toEqual(before); // what is on record is not waited for
    expect(await ask('paused')).toMatchObject({ success: false, error_code: 'no_agent' });
    expect(await ask('paused', { queue: true, timeout_seconds: 0.2 })).toMatchObject({ success: false, error_code: 'no_agent' });
    const body = { session_id: session(), capability: 'paused', queue: true };
    const waits = ao.orchestrate(body);
    await until('it waits', async () => (await status()).orchestrator['waiting'] === 1);
    expect((await ao.get(`/v1/sessions/${body.session_id}`)).status).toBe(404);
    await ao.post('/v1/agents/paused/start').expect(200);
    expect(await waits).toMatchObject({ success: true, agent_id: 'paused' });
  });

  it('to find room among so many at a time is a 429 with Retry-After, at once, and nothing is recorded', async () => {
    const held = new Held();
    script.manners['held'] = [held.manner];
    const inside = [1, 2, 3, 4].map(() => ask('held'));
    await until('the agent is called', () => held.waiting.length === 4);
    const events = await countEvents(ao.db);
    const { status: code, body, headers } = await ao.post('/v1/orchestrate', { session_id: session(), capability: 'sends' });
    expect([code, body.code, headers['retry-after']]).toEqual([429, 'overloaded', '1']);
    expect(await countEvents(ao.db)).toBe(events);
    while (held.waiting.length > 0) held.release();
    await Promise.all(inside);
    expect(await ask('sends')).toMatchObject({ success: true });
  });
});

describe('a process that is told to stop', () => {
  it('answers 503 to those who wait for an agent, and has recorded nothing of them', async () => {
    const place = await anyPlace();
    const server = await start(place);
    try {
      const send = (path: string, body: object = {}) =>
        fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
      expect((await send('/v1/agents/moody/stop')).status).toBe(200);
      const events = await countEvents(server.ledger.db);
      const waits = send('/v1/orchestrate', { session_id: 's', capability: 'mirrors', queue: true, timeout_seconds: 60 });
      const waiting = async () =>
        ((await (await fetch(`${server.url}/v1/status`)).json()) as { orchestrator: { waiting: number } }).orchestrator.waiting;
      await until('it waits', async () => (await waiting()) === 1);
      expect(await countEvents(server.ledger.db)).toBe(events);
      const closing = server.close();
      const answer = await waits;
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'shutting_down']);
      await closing;
    } finally {
      await server.close();
      await place.drop();
    }
  });
});
