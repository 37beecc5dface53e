import { Erasures } from '../../src/audit/erasures.worker.js';
import { erase, failing, tracesOf, WHY } from '../support/erasing.js';
import { type MemAgent, startMemAgent } from '../support/memagent.js';
import { running, until } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';
import { answers, TracePeer } from '../support/trace-peer.js';

let serial = 0;
const unique = (what: string) => `${what}-${++serial}-of-a-person`;

describe('peers that hold copies', () => {
  let trace: TracePeer;
  let memagent: MemAgent;
  const ao = running(anyPlace, async () => {
    trace = await TracePeer.start();
    memagent = await startMemAgent();
    return { TRACE_URL: trace.url, TRACE_PAUSE_SECONDS: '1', MEMAGENT_URL: memagent.url };
  });
  afterAll(async () => {
    await trace?.vanish();
    await memagent?.kill();
  });

  const echo = async (session_id: string, text: string) =>
    (await ao.orchestrate({ session_id, capability: 'echo', parameters: { text } })).contract_id;
  const known = (session: string) => memagent.block(`session_${session}`);
  const copied = (session: string, events: number) =>
    until('Trace has the session', async () => (await trace.events(session)).length >= events);
  const remembered = (session: string) => until('MemAgent has the session', async () => (await known(session)) !== undefined);

  it('are told of a session by the name they know it by, which is forgotten here once they know', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    await echo(name, secret);
    await ao.post('/v1/compress', { session_id: name }).expect(200);
    await copied(name, 2);
    await remembered(name);

    await memagent.kill();
    expect(await erase(ao, name)).toMatchObject({ told: ['trace', 'memagent'] });
    await until('Trace has erased it', async () => !(await trace.all()).has(name));
    expect(trace.count(`POST /v1/sessions/${name}/events`)).toBe(3);
    const look = () => ao.server.app.get(Erasures).look();
    await look();
    expect([await tracesOf(ao.db, secret), await tracesOf(ao.db, name)]).toEqual([[], ['erasure']]);

    await memagent.startAgain(); // it keeps nothing; that it is asked to delete shows in the name being forgotten
    await until('MemAgent is told', async () => {
      await look();
      return (await tracesOf(ao.db, name)).length === 0;
    });
  });

  it('are told of some contracts: Trace which, MemAgent to begin anew where a memory block went', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    const id = await echo(name, secret);
    await echo(name, 'kept');
    await ao.post('/v1/compress', { session_id: name }).expect(200);
    await copied(name, 4);
    await remembered(name);

    const { erasures } = await erase(ao, name, { contracts: [id] });
    await copied(name, 5);
    const events = await trace.events(name);
    expect(events.at(-1)).toMatchObject({
      event_type: 'payload.erased',
      data: { event_id: erasures[0], session_id: name, contracts: [id], fields: null },
    });
    expect(JSON.stringify(events)).not.toContain(secret);
    expect(JSON.stringify(events)).toContain('kept');
    await until('MemAgent has forgotten it', async () => (await known(name)) === undefined);
    await ao.post('/v1/compress', { session_id: name }).expect(200);
    await remembered(name);
    expect(JSON.stringify(await known(name))).not.toContain(secret);
    expect((await ao.post('/v1/trace/audit', { session_id: name })).body).toMatchObject({ verdict: 'same' });
  });

  it('never get afterwards what was on its way before', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    trace.manner = answers(503);
    const id = await echo(name, secret);
    await erase(ao, name, { contracts: [id] });
    trace.manner = () => false;
    await copied(name, 3);
    const events = await trace.events(name);
    expect(events.map(({ event_type }) => event_type)).toEqual(['contract.request', 'contract.response', 'payload.erased']);
    expect(JSON.stringify(events)).not.toContain(secret);
  });

  it('are told nothing before it is done', async () => {
    const name = unique('name');
    const id = await echo(name, 'something');
    await copied(name, 2);
    const mend = await failing(ao.db, 'DELETE', 'payload');
    await ao.post(`/v1/sessions/${name}/erase`, { ...WHY, contracts: [id] }).expect(500);
    await until('Trace waits', async () => /being carried out/.test((await ao.get('/v1/trace')).body.last_error ?? ''));
    await mend();
    expect(await trace.events(name)).toHaveLength(2);
    await ao.server.app.get(Erasures).finish('default');
    await copied(name, 3);
  });
});
