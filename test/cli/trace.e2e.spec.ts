import { running, until } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';
import { endAll, type Outcome, runCommand } from '../support/process.js';
import { answers, TracePeer } from '../support/trace-peer.js';

const TASK = { capability: 'echo', parameters: { text: 'x' } };

afterAll(endAll);

describe('agent-orchestrator trace', () => {
  let peer: TracePeer;
  const app = running(anyPlace, async () => {
    peer = await TracePeer.start();
    return { TRACE_URL: peer.url, TRACE_TRIES: '1', TRACE_PAUSE_SECONDS: '0.05' };
  });
  const trace = (...args: string[]): Promise<Outcome> => runCommand(['trace', ...args, '--url', app.server.url]);
  const held = (sid: string, count: number) => until(`Trace has ${count} events`, async () => (await peer.events(sid)).length === count);
  beforeEach(() => {
    peer.manner = () => false;
  });
  afterAll(() => peer.vanish());

  it('status shows how far it is and what is parked; retry-parked frees it', async () => {
    await app.orchestrate({ session_id: 'first', ...TASK });
    await held('first', 2);
    await until('it is caught up', async () => (await app.get('/v1/trace')).body.lag === 0);
    const well = await trace('status');
    expect([well.code, well.stdout]).toEqual([
      0,
      expect.stringMatching(/^healthy {2}http:.*\n +lag +0 events.*\n +breaker +closed\n +error +none\n/),
    ]);
    peer.manner = (asked, response) => asked.url === '/v1/sessions/bad/events' && answers(422)(asked, response);
    await app.orchestrate({ session_id: 'bad', ...TASK });
    await until('it is parked', async () => (await app.get('/v1/trace')).body.parked === 1);
    expect((await trace('status')).stdout).toMatch(
      /^degraded.*1 parked, 0 tried again\n +bad since .*, 1 tries, parked: Trace refused the event: HTTP 422\n$/s,
    );
    const { stdout } = await trace('status', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ status: 'degraded', waiting_streams: [{ session_id: 'bad' }] });
    peer.manner = () => false;
    expect(await trace('retry-parked', '--session', 'bad')).toMatchObject({ code: 0, stdout: '1 parked session is tried now\n' });
    await held('bad', 2);
  });

  it('replay sends again, a session or everything from a place on', async () => {
    await app.orchestrate({ session_id: 'twice', ...TASK });
    await held('twice', 2);
    await until('it is caught up', async () => (await app.get('/v1/trace')).body.lag === 0);
    expect(await trace('replay', '--session', 'twice')).toMatchObject({ code: 0, stdout: '2 events of the ledger are passed again\n' });
    await held('twice', 4);
    expect((await trace('replay', '--from', '0')).code).toBe(0);
    await held('twice', 6);
  });

  it('audit ends with 0 for the same, 4 for missing, 2 for different, 1 for what cannot be done', async () => {
    await app.orchestrate({ session_id: 'audited', ...TASK });
    await held('audited', 2);
    const events = await peer.events('audited');
    const holding = (list: object[]) => {
      peer.manner = (asked, response) => asked.method === 'GET' && answers(200, JSON.stringify({ events: list }))(asked, response);
      return trace('audit', '--session', 'audited');
    };
    expect(await trace('audit', '--session', 'audited')).toMatchObject({ code: 0, stdout: 'SAME: 2 events in the ledger, 2 at Trace\n' });
    expect(await holding(events.slice(1))).toMatchObject({
      code: 4,
      stdout: expect.stringMatching(/^MISSING: .*\n {2}missing {4}\w{26} seq 1 \(passed\)\n$/s),
    });
    const forged = { ...events[1]!, data: { ...events[1]!.data, status: 'failed' } };
    expect(await holding([forged])).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/DIFFERENT.*different {2}\w{26} seq 2: status\n/s),
    });
    peer.manner = answers(500);
    expect(await trace('audit', '--session', 'audited')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('HTTP 500'),
    });
    expect(await trace('audit', '--session', 'nobody')).toMatchObject({ code: 1, stderr: expect.stringContaining('no session') });
    expect((await trace('audit')).code).toBe(1);
    expect((await trace('replay')).code).toBe(1);
    expect((await trace('replay', '--from', '-1')).code).toBe(1);
  });
});
