import type { TaskTree } from '../../src/orchestration/tasks.queries.js';
import { SlowCaller } from '../support/events.js';
import { type Answer, type Body, running, start, until } from '../support/orchestrator.js';
import { type Peer, startPeer } from '../support/peer.js';
import { agentsFile, anyPlace } from '../support/place.js';
import { countEvents, recorded } from '../support/recorded.js';
import { breaks, busy, good, Held, Script } from '../support/scripted.js';

const CAPABILITIES = 'either single holds fragile sends other paused'.split(' ');
const script = new Script(CAPABILITIES);
const offer = (name: string) => [{ name }];

async function agents(one: string, two: string): Promise<string> {
  const gone = await startPeer({});
  await gone.close();
  const of = (agent_id: string, endpoint: string, capability: string, limits: object = {}) => ({
    ...{ agent_id, name: agent_id, protocol: 'http', endpoint, capabilities: offer(capability) },
    ...limits,
  });
  return agentsFile([
    of('slow', one, 'either', { max_concurrency: 1 }),
    of('quick', two, 'either', { max_concurrency: 1 }),
    of('single', one, 'single', { max_concurrency: 1 }),
    of('holds', one, 'holds'),
    of('fragile', one, 'fragile', { breaker: { failures: 1, pause_seconds: 0.3 } }),
    of('sends', one, 'sends'),
    of('gone', gone.url, 'other'),
    of('here', two, 'other'),
    of('paused', one, 'paused'),
  ]);
}

interface Status {
  orchestrator: { waiting: number };
  agents: { guarded: { agent_id: string; breaker: string }[] };
}

describe('a task that waits', () => {
  const peers: Peer[] = [];
  const ao = running(anyPlace, async () => {
    peers.push(await script.start(), await script.start());
    return { AGENTS_FILE: await agents(peers[0]!.url, peers[1]!.url), MAX_CONCURRENT_REQUESTS: '3', AGENT_QUEUE: '2' };
  });
  afterAll(() => Promise.all(peers.map((peer) => peer.close())));
  beforeEach(() => script.clear());

  let serial = 0;
  const session = () => `waits ${++serial}`;
  const ask = (capability: string, more: Body = {}) => ao.orchestrate({ session_id: session(), capability, ...more });
  const status = async () => (await ao.get('/v1/status')).body as Status;
  const waiting = (n: number) => until(`${n} wait`, async () => (await status()).orchestrator.waiting === n);
  const held = (capability: string) => {
    const hold = new Held();
    script.manners[capability] = [hold.manner];
    return hold;
  };

  it('for any of several goes to whoever is free first, not to whoever it stood before first', async () => {
    const hold = held('either');
    const inside: Promise<Answer>[] = [];
    for (const n of [1, 2]) {
      inside.push(ask('either'));
      await until('the agent is called', () => hold.waiting.length === n);
    }
    const late = ask('either');
    await waiting(1);
    hold.waiting.pop()!(); // of two, the one that was called second
    await until('that one is called again', () => hold.waiting.length === 2);
    while (hold.waiting.length > 0) hold.release();
    const [first, second, third] = (await Promise.all([...inside, late])).map(({ agent_id }) => agent_id);
    expect([first === second, third]).toEqual([false, second]);
  });

  it('in line passes its turn on when its agent was stopped meanwhile, and nobody is called', async () => {
    const hold = held('single');
    const first = ask('single');
    await until('the agent is called', () => hold.waiting.length === 1);
    const late = [ask('single'), ask('single')];
    await waiting(2);
    await ao.post('/v1/agents/single/stop').expect(200);
    hold.release();
    expect((await Promise.all(late)).map(({ error_code }) => error_code)).toEqual(['no_agent', 'no_agent']);
    expect([await first, script.asked('single')]).toEqual([expect.objectContaining({ success: true }), 1]);
    await ao.post('/v1/agents/single/start').expect(200);
  });

  it('takes nobody’s place among those that are worked on at a time', async () => {
    const hold = held('single');
    const first = ask('single');
    await until('the agent is called', () => hold.waiting.length === 1);
    const late = [ask('single'), ask('single')];
    await waiting(2);
    expect(await ask('sends')).toMatchObject({ success: true }); // the fourth of three
    for (const _ of [first, ...late]) {
      await until('the agent is called', () => hold.waiting.length === 1);
      hold.release();
    }
    expect((await Promise.all(late)).every(({ success }) => success)).toBe(true);
  });

  it('and whose caller hangs up is on the record as cancelled, and its agent never hears of it', async () => {
    const hold = held('single');
    const first = ask('single');
    await until('the agent is called', () => hold.waiting.length === 1);
    const session_id = session();
    const caller = new SlowCaller(ao.server.url, { session_id, capability: 'single', timeout_seconds: 60 });
    await waiting(1);
    expect((await ao.get(`/v1/sessions/${session_id}`)).status).toBe(404); // nothing is recorded while it waits
    caller.hangUp();
    const contracts = async () => (await ao.get(`/v1/contracts?session_id=${session_id}`)).body as { contracts: { error_code: string }[] };
    await until('it is on the record', async () => (await contracts()).contracts?.length === 2);
    expect((await contracts()).contracts.map(({ error_code }) => error_code)).toEqual(['cancelled', 'cancelled']);
    await waiting(0);
    hold.release();
    await first;
    expect(script.asked('single')).toBe(1);
  });

  it('for a stopped agent is one of so many: the next one is answered at once', async () => {
    await ao.post('/v1/agents/paused/stop').expect(200);
    const late = [1, 2].map(() => ask('paused', { queue: true, timeout_seconds: 60 }));
    await waiting(2);
    expect(await ask('paused', { queue: true, timeout_seconds: 60 })).toMatchObject({ success: false, error_code: 'no_agent' });
    await ao.post('/v1/agents/paused/start').expect(200);
    expect((await Promise.all(late)).every(({ success }) => success)).toBe(true);
  });

  it('out the pause before an attempt that was announced is running; cancelled then, it ends with that attempt, uncalled', async () => {
    script.manners['sends'] = [busy(30), good];
    const session_id = session();
    const asking = ao.orchestrate({ session_id, capability: 'sends', timeout_seconds: 60 });
    const contracts = async () => (await ao.get(`/v1/contracts?session_id=${session_id}`)).body as { contracts: { task_id: string }[] };
    await until('the first attempt is on record', async () => (await contracts()).contracts?.length === 2);
    const task = `/v1/tasks/${(await contracts()).contracts[0]!.task_id}`;
    const paused = (await ao.get(task).expect(200)).body as TaskTree;
    expect(paused).toMatchObject({ status: 'running', completed_at: null, contracts: [{ status: 'failed', error_code: 'agent_busy' }] });
    const cancelled = (await (await fetch(ao.server.url + task, { method: 'DELETE' })).json()) as TaskTree;
    expect([cancelled.status, cancelled.contracts.map((c) => c.error_code)]).toEqual(['cancelled', ['agent_busy', 'cancelled']]);
    expect(await asking).toMatchObject({ success: false, error_code: 'cancelled', agent_id: null, attempts: [{}, {}] });
    expect(script.asked('sends')).toBe(1);
  });

  it('gives the one call that tries an ill agent back when it is not made', async () => {
    const closed = session();
    await ao.orchestrate({ session_id: closed, capability: 'sends' });
    await ao.post(`/v1/sessions/${closed}/close`).expect(200);
    script.manners['fragile'] = [breaks, good];
    expect(await ask('fragile')).toMatchObject({ error_code: 'agent_failed' });
    const tried = async () => (await status()).agents.guarded.some(({ breaker }) => breaker === 'half_open');
    await until('the agent may be tried', tried);
    expect((await ao.post('/v1/orchestrate', { session_id: closed, capability: 'fragile' })).body).toMatchObject({
      code: 'session_closed',
    });
    expect(await ask('fragile')).toMatchObject({ success: true });
    expect((await status()).agents.guarded).toEqual([]);
  });

  it('after a cancelled call of an ill agent lets the next one try it', async () => {
    const hold = new Held();
    script.manners['fragile'] = [breaks, hold.manner, good];
    expect(await ask('fragile')).toMatchObject({ error_code: 'agent_failed' });
    const tried = async () => (await status()).agents.guarded.some(({ breaker }) => breaker === 'half_open');
    await until('the agent may be tried', tried);
    const session_id = session();
    const asking = ao.orchestrate({ session_id, capability: 'fragile' });
    await until('it is tried', () => hold.waiting.length === 1);
    expect(await ask('fragile')).toMatchObject({ error_code: 'breaker_open' }); // one at a time
    const { contracts } = (await ao.get(`/v1/contracts?session_id=${session_id}`)).body as { contracts: { task_id: string }[] };
    await fetch(`${ao.server.url}/v1/tasks/${contracts[0]!.task_id}`, { method: 'DELETE' });
    expect(await asking).toMatchObject({ error_code: 'cancelled' });
    expect(await ask('fragile')).toMatchObject({ success: true });
  });

  it('never goes to another agent than the one it names, however often that one fails', async () => {
    const answer = (await ask('other', { agent_id: 'gone' })) as Answer & { attempts: { agent_id: string }[] };
    expect(answer).toMatchObject({ success: false, error_code: 'agent_unreachable', agent_id: 'gone' });
    expect(answer.attempts.map(({ agent_id }) => agent_id)).toEqual(['gone', 'gone', 'gone']);
    expect(script.asked('other')).toBe(0);
    const [request] = await recorded(ao.db, 'e.event_id = $1', [answer.contract_id]);
    expect(request!.payload['routing']).toMatchObject({ method: 'agent_id', candidates: ['gone'] });
  });
});

describe('a process that is told to stop while a task waits', () => {
  const places: { drop(): Promise<void> }[] = [];
  const peers: Peer[] = [];
  afterEach(async () => {
    for (const each of [...peers.splice(0).map((peer) => () => peer.close()), ...places.splice(0).map((place) => () => place.drop())])
      await each();
  });
  async function started() {
    const [place, peer] = [await anyPlace(), await script.start()];
    places.push(place);
    peers.push(peer);
    const server = await start(place, { AGENTS_FILE: await agents(peer.url, peer.url) });
    const ask = (body: Body) =>
      fetch(`${server.url}/v1/orchestrate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    return { server, ask };
  }
  beforeEach(() => script.clear());

  it('out a pause answers with what is on record, and makes no further attempt', async () => {
    const { server, ask } = await started();
    script.manners['sends'] = [busy(30), good];
    const asking = ask({ session_id: 's', capability: 'sends', timeout_seconds: 60 });
    await until('the first attempt is on record', async () => (await countEventsOf(server, 'contract.response')) === 1);
    await server.close();
    const answer = await asking;
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ success: false, error_code: 'agent_busy' })]);
    expect(script.asked('sends')).toBe(1);
  });

  it('in line answers 503 and has recorded nothing of it', async () => {
    const { server, ask } = await started();
    const hold = new Held();
    script.manners['single'] = [hold.manner];
    const first = ask({ session_id: 'first', capability: 'single', timeout_seconds: 60 });
    await until('the agent is called', () => hold.waiting.length === 1);
    const late = ask({ session_id: 'late', capability: 'single', timeout_seconds: 60 });
    const waiting = async () => ((await (await fetch(`${server.url}/v1/status`)).json()) as Status).orchestrator.waiting;
    await until('it waits', async () => (await waiting()) === 1);
    const events = await countEvents(server.ledger.db);
    const closing = server.close();
    const answer = await late;
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, 'shutting_down']);
    expect(await countEvents(server.ledger.db)).toBe(events);
    hold.release();
    expect(((await (await first).json()) as Answer).success).toBe(true);
    await closing;
  });
});

const countEventsOf = async (server: Awaited<ReturnType<typeof start>>, type: string): Promise<number> =>
  (await server.ledger.db.query<{ n: number }>('SELECT count(*)::int AS n FROM event WHERE type = $1', [type]))[0]!.n;
