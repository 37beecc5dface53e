import type { Server } from '../../src/server.system.js';
import { describeOnServer } from '../support/databases.js';
import { follow, SlowCaller } from '../support/events.js';
import { nap } from '../support/nap.js';
import { start, until } from '../support/orchestrator.js';
import { anyPlace, inspect, type Place } from '../support/place.js';
import { type BreakingProxy, openProxy } from '../support/proxy.js';
import { expectSound } from '../support/sound.js';

describeOnServer('a followed task whose ledger goes away', () => {
  let place: Place;
  let proxy: BreakingProxy;
  let server: Server;
  beforeAll(async () => {
    place = await anyPlace();
    proxy = await openProxy(place.settings.DATABASE_URL!);
    server = await start({ ...place, settings: { ...place.settings, DATABASE_URL: proxy.url } });
  });
  afterAll(async () => {
    await server.close();
    await proxy.close();
    await place.drop();
  });

  it('ends with an error event, a later one is an ordinary 503; the contract is closed when the ledger is back', async () => {
    const { parameters, begun, wake } = await nap();
    const body = { session_id: 's', capability: 'sleeps', parameters, timeout_seconds: 2 };
    const caller = new SlowCaller(server.url, body);
    await begun();
    proxy.open(false);
    await wake();
    await caller.readAll(); // until the deadline, and 5 s
    expect(caller.events.map((e) => e.event)).toEqual(['contract', 'error']);
    expect(caller.events.at(-1)!.data).toMatchObject({ status: 503, code: 'ledger_unavailable', detail: expect.any(String) });
    const later = await follow(server.url, body);
    expect([later.status, later.events, later.body.code]).toEqual([503, [], 'ledger_unavailable']);
    proxy.open(true);
    await until(
      'the contract is closed',
      async () => {
        const [row] = await inspect(place, (db) => db.query<{ n: number }>('SELECT count(*) AS n FROM open_request'));
        return row!.n === 0;
      },
      30_000,
    );
    await inspect(place, async (db) => {
      const rows = await db.query(`SELECT error_code FROM event WHERE type = 'contract.response'`);
      expect(rows).toEqual([{ error_code: 'interrupted' }]);
      await expectSound(db);
    });
  });
});
