/** kill -9 while events are on their way to Trace: what was sent may come again, nothing may be missing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startLoad } from './support/load.js';
import { describeEachPlace, inspect } from './support/place.js';
import { endAll, spawnOrchestrator } from './support/process.js';
import { expectInOrder, TracePeer } from './support/trace-peer.js';
import { until } from './support/until.js';

afterEach(endAll);

describeEachPlace('kill -9 in the middle of forwarding', (make) => {
  it('repeats perhaps, skips and reorders nothing', async () => {
    const peer = await TracePeer.start();
    peer.manner = async () => {
      await sleep(2);
      return false;
    };
    const place = await make();
    const settings = { TRACE_URL: peer.url, TRACE_PAUSE_SECONDS: '0.1' };
    for (let round = 0; round < 2; round++) {
      const victim = await spawnOrchestrator(place, settings);
      const load = startLoad(await victim.url, `round ${round}`);
      await load.begun;
      const before = peer.requests.length;
      await until('forwarding is under way', () => peer.requests.length > before + 20 + Math.random() * 200);
      victim.signal('SIGKILL');
      await victim.ended;
      await load.over;
      // The dead process had renewed its lease a moment ago; it is the clock that is simulated here, nothing else.
      await inspect(place, (db) => db.query(`UPDATE follower SET until = until - interval '31 s'`));
      await inspect(place, (db) => db.query(`UPDATE instance SET seen_at = seen_at - interval '31 s'`));
    }
    peer.manner = () => false;
    const heir = await spawnOrchestrator(place, settings);
    const url = await heir.url;
    const status = async () =>
      (await (await fetch(`${url}/v1/status`)).json()) as {
        ledger: Record<string, number>;
        integrations: { trace: Record<string, number> };
      };
    await until(
      'everything is forwarded',
      async () => {
        const { ledger, integrations } = await status();
        return ledger['open_requests'] === 0 && ledger['pending'] === 0 && integrations.trace['lag'] === 0;
      },
      60_000, // forwarding comes last where a machine is busy
    );
    heir.signal('SIGTERM');
    await heir.ended;
    const all = [...(await peer.all()).values()];
    const came = new Set(all.flat().map(({ data }) => data.event_id));
    const recorded = await inspect(place, (db) =>
      db.query<{ id: string }>(`SELECT event_id AS id FROM event WHERE type LIKE 'contract.%'`),
    );
    expect(recorded.length).toBeGreaterThan(100);
    expect(recorded.filter(({ id }) => !came.has(id))).toEqual([]);
    expect(came.size).toBe(recorded.length);
    expectInOrder(all);
    await place.drop();
    await peer.vanish();
  }, 120_000);
});
