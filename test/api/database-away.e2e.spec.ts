import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Server } from '../../src/server.system.js';
import { describeOnServer } from '../support/databases.js';
import { send } from '../support/load.js';
import { type Answer, settled, start, until } from '../support/orchestrator.js';
import { type Peer, startPeer } from '../support/peer.js';
import { agentsFile, anyPlace, inspect, type Place } from '../support/place.js';
import { type BreakingProxy, openProxy } from '../support/proxy.js';
import { expectSound } from '../support/sound.js';

interface Problem {
  code: string;
  detail: string;
}

describeOnServer('a database that dies under load and comes back', () => {
  let place: Place;
  let proxy: BreakingProxy;
  let agent: Peer;
  let server: Server;
  const health = async () => (await fetch(`${server.url}/v1/health`)).status;
  const answered: Answer[] = [];
  const refused: { status: number; body: Problem }[] = [];

  beforeAll(async () => {
    place = await anyPlace();
    proxy = await openProxy(place.settings.DATABASE_URL!);
    agent = await startPeer({
      work: (response, task) => {
        setTimeout(() => response.end(JSON.stringify({ success: true, data: { did: task.task_id } })), 30);
      },
    });
    const description = { agent_id: 'worker', name: 'Worker', protocol: 'http', endpoint: agent.url, capabilities: [{ name: 'work' }] };
    const file = await agentsFile([description]);
    server = await start({ ...place, settings: { ...place.settings, DATABASE_URL: proxy.url } }, { AGENTS_FILE: file });
  });
  afterAll(async () => {
    await server.close();
    await agent.close();
    await proxy.close();
    await place.drop();
  });

  it('is a 503 for whoever cannot wait, and nothing for the others', async () => {
    let stop = false;
    const pool = new Pool(server.url, { connections: 16 });
    const client = async (_: unknown, n: number) => {
      for (let i = 0; !stop && i < 5000; i++) {
        const body = { session_id: `${n} ${i % 3}`, capability: 'work', parameters: { i }, timeout_seconds: 6 };
        const told = await send(pool, { body, key: undefined });
        if (told.status === 200) answered.push(told.body as Answer);
        else {
          refused.push({ status: told.status, body: told.body as Problem });
          await sleep(20); // as who is told to try again later
        }
      }
    };
    const clients = Array.from({ length: 12 }, client);
    await until('there is load', () => answered.length > 100);
    proxy.open(false);
    await until('health says so', async () => (await health()) === 503);
    // The others may all have been with the agent in that moment; these come with a REQUEST.
    for (let n = 12; n < 16; n++) clients.push(client(undefined, n));
    // Longer than a REQUEST waits for the ledger (5 s), shorter than a RESPONSE does (until the deadline, and 5 s).
    await sleep(6500);
    const before = answered.length;
    proxy.open(true);
    await until('work goes on', () => answered.length > before + 100, 20_000);
    expect(await health()).toBe(200);
    stop = true;
    await Promise.all(clients);
    await pool.destroy();
    expect(refused.length).toBeGreaterThanOrEqual(4);
    expect(refused.filter(({ status, body }) => status !== 503 || body.code !== 'ledger_unavailable')).toEqual([]);
  });

  it('leaves nothing half-recorded, and loses no answer that an agent gave', async () => {
    await until(
      'nothing is open',
      async () =>
        ((await (await fetch(`${server.url}/v1/status`)).json()) as { ledger: { open_requests: number } }).ledger.open_requests === 0,
      30_000,
    );
    await inspect(place, async (db) => {
      const rows = await db.query<{ request: string; status: string; code: string | null; hash: string }>(
        `SELECT in_reply_to AS request, status, error_code AS code, encode(hash, 'hex') AS hash FROM event WHERE type = 'contract.response'`,
      );
      const responses = new Map(rows.map((row) => [row.request, row]));
      expect(answered.filter(({ contract_id, receipt }) => responses.get(contract_id)?.hash !== receipt.hash)).toEqual([]);
      const heard = agent.heard.map(({ task }) => task.task_id);
      expect(new Set(heard).size).toBe(heard.length); // asked once
      expect(heard.filter((id) => responses.get(id)?.status !== 'completed')).toEqual([]);
      // The rest reached the ledger over a connection that broke before it could say so: nobody was called.
      const rest = rows.filter(({ request }) => !heard.includes(request));
      expect(rest.filter(({ code }) => code !== 'interrupted')).toEqual([]);
      await settled(db);
      await expectSound(db);
    });
  });
});
