/** Agents that are found at addresses, and looked at again. */
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { readConfig } from '../../src/config.js';
import { openLog } from '../../src/kernel/log.system.js';
import type { Server } from '../../src/server.system.js';
import { startA2aPeer } from '../support/a2a-peer.js';
import { SELF_SIGNED } from '../support/certificate.js';
import { describeOnServer } from '../support/databases.js';
import { capabilities, type DescribingAgent, startDescribing } from '../support/describing-agent.js';
import { type Body, running, start, until } from '../support/orchestrator.js';
import { agentsFile, anyPlace, EXAMPLE } from '../support/place.js';
import { expectRecorded, recorded } from '../support/recorded.js';

// biome-ignore lint/suspicious/noExplicitAny: whatever the API said, looked into member by member
type Told = any;

const peers: DescribingAgent[] = [];
afterAll(() => Promise.all(peers.map((peer) => peer.close())));
const peer = async (says: Record<string, unknown>) => {
  const started = await startDescribing(says);
  peers.push(started);
  return started;
};
/** An agents file with addresses. */
const addresses = async (endpoints: string[], registries: string[] = []) => {
  const file = await agentsFile([]);
  await writeFile(file, JSON.stringify({ agents: [EXAMPLE], endpoints, registries }));
  return file;
};

interface Tls {
  readonly url: string;
  close(): Promise<unknown>;
}
async function listening(server: NetServer): Promise<Tls> {
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, close: () => new Promise((closed) => server.close(closed)) };
}

describe('discovery', () => {
  let good: DescribingAgent;
  let listed: DescribingAgent;
  let registry: DescribingAgent;
  let bad: DescribingAgent;
  const logged: unknown[] = [];
  const ao = running(
    anyPlace,
    async () => {
      good = await peer({ '/capabilities': capabilities('good') });
      listed = await peer({ '/capabilities': capabilities('listed') });
      bad = await peer({ '/capabilities': Buffer.from('{"agent_id": "bad", ') });
      const elsewhere = { ...capabilities('elsewhere'), name: 'Elsewhere', protocol: 'http', endpoint: listed.url, tasks_completed: 7 };
      const strange = { ...elsewhere, agent_id: 'strange', protocol: 'smoke-signals' };
      const entries = [{ url: listed.url }, elsewhere, { url: 'http://127.0.0.1:9999' }, 17, 'not an address', { url: 'ftp://a' }, strange];
      registry = await peer({ '/v1/agents': { agents: entries, total: 7 } });
      const file = await addresses([good.url, bad.url, 'http://127.0.0.1:9999'], [`${registry.url}/v1/agents`]);
      return { AGENTS_FILE: file, DISCOVERY_INTERVAL_SECONDS: '1' };
    },
    openLog(readConfig({ LOG_FORMAT: 'json' }), { write: (line) => void logged.push(JSON.parse(line)) }),
  );
  const agent = async (id: string) => (await ao.get(`/v1/agents/${id}`)).body;
  const history = (id: string) => recorded(ao.db, 'e.stream = $1', [`default/agent/${id}`]);

  it('finds agents at addresses, in lists and in other orchestrators; bad addresses do not keep the good ones out', async () => {
    await until('all are there', async () => (await ao.get('/v1/agents')).body.total === 4);
    expect((await ao.get('/v1/agents')).body.agents).toMatchObject([
      { agent_id: 'agent_example_001', source: { by: 'file' } },
      { agent_id: 'elsewhere', name: 'Elsewhere', endpoint: listed.url, source: { by: 'discovery', url: `${registry.url}/v1/agents` } },
      { agent_id: 'good', endpoint: good.url, source: { by: 'discovery', url: good.url } },
      { agent_id: 'listed', endpoint: listed.url, source: { by: 'discovery', url: `${registry.url}/v1/agents` } },
    ]);
    const { looked } = (await ao.post('/v1/agents/refresh', {}).expect(200)).body;
    const of = (url: string) => looked.find((l: { url: string }) => l.url === url);
    expect(of(good.url)).toEqual({ url: good.url, agents: ['good'], errors: [] });
    expect(of('http://127.0.0.1:9999').errors).toEqual([expect.stringContaining('ECONNREFUSED')]);
    expect(of(bad.url).errors).toEqual([expect.stringContaining('answers no JSON')]);
    const list = of(`${registry.url}/v1/agents`);
    expect(list.agents.sort()).toEqual(['elsewhere', 'listed']);
    expect(list.errors).toEqual([
      ...[4, 5, 6].map((n) => expect.stringContaining(`entry ${n} of the list names no agent`)),
      expect.stringContaining('its protocol is not spoken here'),
      expect.stringContaining('ECONNREFUSED'),
    ]);
    await ao.post('/v1/agents/refresh', { url: 'http://127.0.0.1:1' }).expect(404);
  });

  it('asks an agent of a list first in the protocol that it spoke before', async () => {
    listed.asked.length = 0;
    await ao.post('/v1/agents/refresh', { url: `${registry.url}/v1/agents` }).expect(200);
    expect(new Set(listed.asked)).toEqual(new Set(['/capabilities', '/schema']));
  });

  it('asks with the etag it was given, and writes nothing while nothing changes', async () => {
    const asked = good.asked.length;
    await until('it was looked at again', () => good.asked.length > asked + 1);
    expect(await history('good')).toHaveLength(1);
  });

  it('puts a changed document on the record as a new version', async () => {
    const before = await agent('good');
    good.says['/capabilities'] = capabilities('good', { version: '1.1.0' });
    await until('the change is there', async () => (await agent('good')).version === '1.1.0');
    const [registered, updated] = await history('good');
    expect(before.record).toBe(registered!.hash);
    expect(updated!.record).toMatchObject({ type: 'agent.updated', version: '1.1.0', cause: registered!.record['id'] });
    expect((updated!.payload['document'] as { data: string }).data).toContain('1.1.0');
    expect(logged).toContainEqual(
      expect.objectContaining({ level: 'info', agent: 'good', msg: 'discovery: agent good changed: version 1.0.0 → 1.1.0' }),
    );
  });

  it('holds an agent for offline after it missed it five times, and takes it back by itself', async () => {
    await good.close();
    const looks = async () => (await ao.db.query<{ misses: number }>(`SELECT misses FROM agent_watch WHERE agent = 'good'`))[0]!.misses;
    await until('it was missed', async () => (await looks()) > 0);
    expect((await agent('good')).status).toBe('available');
    await until('it is offline', async () => (await agent('good')).status === 'offline', 20_000);
    expect(await looks()).toBeGreaterThanOrEqual(5);
    await good.reopen();
    await until('it was found', async () => (await looks()) === 0);
  }, 40_000);

  it('does not bring back who was retired', async () => {
    await fetch(`${ao.server.url}/v1/agents/elsewhere`, { method: 'DELETE' });
    const { body } = await ao.post('/v1/agents/refresh', { url: `${registry.url}/v1/agents` });
    expect(body.looked[0].errors).toContainEqual(expect.stringContaining('retired'));
    expect((await agent('elsewhere')).status).toBe('retired');
  });
});

it('a list of addresses that never answer keeps neither the others nor the end of the process waiting', async () => {
  const asked = new Set<string>();
  const silent = createHttpServer(({ url }) => void asked.add(url!));
  const { url } = await listening(silent);
  const at = url.replace('https', 'http');
  const slow = await peer({ '/list': Array.from({ length: 160 }, (_, i) => `${at}/${i}`) }); // ten times five seconds
  const quick = await peer({ '/capabilities': capabilities('quick') });
  const place = await anyPlace();
  const server = await start(place, { AGENTS_FILE: await addresses([quick.url], [`${slow.url}/list`]), DISCOVERY_INTERVAL_SECONDS: '1' });
  try {
    await until('the list is being looked at', () => asked.size >= 16);
    const looks = quick.asked.length;
    await until('the other was looked at twice', () => quick.asked.length > looks + 2, 20_000);
    expect(asked.size).toBeLessThan(160); // the first look is not over
  } finally {
    const told = Date.now();
    await server.close();
    expect(Date.now() - told).toBeLessThan(8000);
    silent.closeAllConnections();
    silent.close();
    await place.drop();
  }
}, 60_000);

describe('whatever an address answers', () => {
  const ao = running(anyPlace, async () => ({ DISCOVERY_INTERVAL_SECONDS: '0' }));
  const huge = { agent_id: 'huge', version: '1.0.0', capabilities: [{ name: 'x', description: 'y'.repeat(2_000_000) }] };
  const skills = { agent_id: 'many', capabilities: Array.from({ length: 10_000 }, (_, i) => ({ name: `c${i}` })) };

  it.each<[string, unknown, string, RegExp]>([
    ['more than a megabyte', huge, 'agent_not_understood', /1048576 bytes/],
    ['ten thousand capabilities', skills, 'agent_not_understood', /capabilities/],
    ['no JSON', Buffer.from('<html>'), 'agent_not_understood', /answers no JSON/],
    ['a list of itself', { agents: [] }, 'agent_not_understood', /lists no agent/],
    ['odd names', { agent_id: 'odd', capabilities: [{ name: 'a b' }] }, 'agent_not_understood', /capabilities\.0\.name/],
    [
      'a schema nothing fits',
      { agent_id: 'odd', capabilities: [{ name: 'a', input_schema: { type: 'nonsense' } }] },
      'agent_not_understood',
      /input_schema/,
    ],
  ])('it is told what is wrong with %s', async (what, document, code, detail) => {
    const strange = await peer(what === 'a list of itself' ? { '': document, '/': document } : { '/capabilities': document });
    const { status, body } = await ao.post('/v1/agents', { url: strange.url });
    expect([status, body.code, body.detail]).toEqual([422, code, expect.stringMatching(detail)]);
  });

  it('it is asked when it is registered, and by no reading of the registry', async () => {
    const quiet = await peer({ '/capabilities': capabilities('quiet') });
    await ao.post('/v1/agents', { url: quiet.url }).expect(200);
    quiet.asked.length = 0;
    for (const path of ['agents', 'agents/quiet', 'agents/quiet?at=0', 'agents/quiet/metrics', 'agents/health', 'capabilities'])
      await ao.get(`/v1/${path}`).expect(200);
    expect(quiet.asked).toEqual([]);
  });

  it('two addresses do not share one id', async () => {
    const [one, two] = [await peer({ '/capabilities': capabilities('twin') }), await peer({ '/capabilities': capabilities('twin') })];
    await ao.post('/v1/agents', { url: one.url }).expect(200);
    const { status, body } = await ao.post('/v1/agents', { url: two.url });
    expect([status, body.code]).toEqual([409, 'agent_conflict']);
  });

  it.each<[string, () => Promise<Tls>, RegExp]>([
    ['whose certificate nobody vouches for', () => listening(createTlsServer(SELF_SIGNED)), /self-signed/],
    ['without a certificate', () => listening(createTlsServer({})), /handshake failure|alert/],
    ['where nobody speaks TLS', () => listening(createHttpServer()), /EPROTO|wrong version|packet length/],
  ])('an address of https %s is not registered, and calls to it find nobody', async (_what, serve, why) => {
    const { url, close } = await serve();
    const refused = await ao.post('/v1/agents', { url });
    expect([refused.status, refused.body.code, refused.body.detail]).toEqual([422, 'agent_unreachable', expect.stringMatching(why)]);
    const agent = { agent_id: 'guarded', name: 'Guarded', endpoint: url, capabilities: [{ name: 'guards' }] };
    await ao.post('/v1/agents', agent).expect(200);
    const answer = await ao.orchestrate({ session_id: 's', capability: 'guards' });
    expect([answer.error_code, answer.error]).toEqual(['agent_unreachable', expect.stringMatching(why)]);
    await fetch(`${ao.server.url}/v1/agents/guarded`, { method: 'DELETE' });
    await close();
  });

  it('a schema that accepts nothing is kept, and every task held to it', async () => {
    const input_schema = { not: {} };
    const picky = await peer({ '/capabilities': { agent_id: 'picky', capabilities: [{ name: 'picks', input_schema }] } });
    const { body } = await ao.post('/v1/agents', { url: picky.url }).expect(200);
    expect(body.agents[0].capabilities).toMatchObject([{ name: 'picks', input_schema }]);
    const answer = await ao.orchestrate({ session_id: 's', capability: 'picks' });
    expect([answer.error_code, answer.error]).toEqual(['invalid_input', expect.stringContaining('/parameters')]);
    expect(picky.asked).not.toContain('/execute');
  });

  it('an agent that dies half-way through its stream, and one that answers for another task, are so on the record', async () => {
    const stream = { 'content-type': 'text/event-stream' };
    const task = (id: string, state: string) => ({ id, contextId: 'c', status: { state: `TASK_STATE_${state}` } });
    const strange = await startA2aPeer({
      line: '1.0',
      binding: 'JSONRPC',
      streaming: true,
      skills: {},
      rough: {
        dies: (response) => void response.writeHead(200, stream).write('data: {"jsonr', () => response.destroy()),
        swaps: (response, body) => {
          const event = (result: object) => `data: ${JSON.stringify({ jsonrpc: '2.0', id: (body as { id: number }).id, result })}\n\n`;
          response.writeHead(200, stream).end(event({ task: task('t1', 'WORKING') }) + event({ task: task('t2', 'COMPLETED') }));
        },
      },
    });
    await ao.post('/v1/agents', { url: strange.url }).expect(200);
    const ask = async (capability: string) => {
      const answer = await ao.orchestrate({ session_id: 's', capability });
      return (await expectRecorded(ao.db, answer)).response.payload['error'];
    };
    expect(await ask('dies')).toMatchObject({ code: 'agent_unreachable' });
    expect(await ask('swaps')).toMatchObject({ code: 'agent_invalid_response', message: expect.stringContaining('task t2') });
    await strange.close();
  });

  it('an address that never answers is given up in seconds', async () => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await new Promise((listening) => silent.once('listening', listening));
    const began = Date.now();
    const { status, body } = await ao.post('/v1/agents', { url: `http://127.0.0.1:${(silent.address() as { port: number }).port}` });
    expect([status, body.code, body.detail]).toEqual([422, 'agent_unreachable', expect.stringContaining('within 5 s')]);
    expect(Date.now() - began).toBeLessThan(9000);
    silent.close();
  }, 15_000);
});

describeOnServer('two replicas', () => {
  it('know of each other’s agents, stop them together, and look at each address once', async () => {
    const place = await anyPlace();
    const agent = await peer({ '/capabilities': capabilities('shared'), '/execute': { success: true, data: {} } });
    const settings = { AGENTS_FILE: await agentsFile([EXAMPLE]), DISCOVERY_INTERVAL_SECONDS: '1' };
    const replicas = await Promise.all([start(place, settings), start(place, settings)]);
    const post = async (server: Server, path: string, body: Body = {}) =>
      (
        await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
      ).json() as Promise<Told>;
    const there = async (server: Server) => ((await (await fetch(`${server.url}/v1/agents/shared`)).json()) as Told) ?? {};
    try {
      const [here, far] = replicas as [Server, Server];
      const registered = await post(here, '/v1/agents', { url: agent.url });
      await until('the other knows it', async () => (await there(far)).record === registered.agents[0].record);
      const called = await post(far, '/v1/orchestrate', { session_id: 's', capability: 'shared-greets' });
      const [request] = await recorded(far.ledger.db, 'e.event_id = $1', [called.contract_id]);
      expect([called.success, request!.record['to_record']]).toEqual([true, registered.agents[0].record]);
      await post(here, '/v1/agents/shared/stop');
      await until('the other has stopped it', async () => (await there(far)).status === 'stopped');
      expect((await post(far, '/v1/orchestrate', { session_id: 's', capability: 'shared-greets' })).error_code).toBe('no_agent');
      const looks = () => agent.asked.filter((path) => path === '/capabilities').length;
      const [before, began] = [looks(), Date.now()];
      await until('it was looked at again', () => Date.now() - began > 3000 && looks() - before >= 2);
      const seconds = (Date.now() - began) / 1000;
      expect(looks() - before).toBeLessThanOrEqual(Math.ceil(seconds / 0.8) + 1); // one a second, a fifth more or less, not two
      await fetch(`${here.url}/v1/agents/shared`, { method: 'DELETE' });
      await until('the other has let it go', async () => (await there(far)).status === 'retired');
      // The same id at both at once, by address and by description: one of them registers it.
      const claims = await Promise.all(replicas.map((r) => post(r, '/v1/agents', { url: agent.url })));
      expect(claims.map((c) => c.total)).toEqual([1, 1]);
      expect(claims.flatMap((c) => c.changed)).toEqual(['shared']);
    } finally {
      await Promise.all(replicas.map((r) => r.close()));
      await place.drop();
    }
  }, 40_000);
});
