import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import { capabilities } from '../support/describing-agent.js';
import { start } from '../support/orchestrator.js';
import { agentsFile, anyPlace } from '../support/place.js';
import { TracePeer } from '../support/trace-peer.js';
import { until } from '../support/until.js';

/** What keeps this process alive beside what did before, by kind. */
function heldSince(before: readonly string[]): string[] {
  const known = [...before];
  return process.getActiveResourcesInfo().filter((kind) => {
    const at = known.indexOf(kind);
    if (at !== -1) known.splice(at, 1);
    return at === -1;
  });
}

async function startAgent(agent_id: string) {
  const says: Record<string, unknown> = {
    '/capabilities': capabilities(agent_id),
    '/execute': { success: true, data: {} },
    '/health': { status: 'ok' },
  };
  const server = createServer((asked, answer) => {
    const said = says[asked.url!];
    asked.resume().on('end', () => answer.writeHead(said ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(said)));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => new Promise<number>((counted, failed) => server.getConnections((error, n) => (error ? failed(error) : counted(n)))),
    close: () => new Promise((closed) => server.close(closed)),
  };
}

it('an orchestrator that is closed hangs up on everybody and leaves nothing behind that keeps the process alive', async () => {
  const place = await anyPlace();
  const before = process.getActiveResourcesInfo();
  const trace = await TracePeer.start();
  const [configured, found] = [await startAgent('configured'), await startAgent('found')];
  const entry = { agent_id: 'configured', name: 'C', protocol: 'http', endpoint: configured.url, capabilities: [{ name: 'works' }] };
  const server = await start(place, {
    AGENTS_FILE: await agentsFile([entry]),
    TRACE_URL: trace.url,
    DISCOVERY_INTERVAL_SECONDS: '1',
    PROBE_INTERVAL_SECONDS: '1',
  });
  await request(server.url).post('/v1/agents').send({ url: found.url }).expect(200);
  for (const capability of ['works', 'found-greets']) {
    const { body } = await request(server.url).post('/v1/orchestrate').send({ session_id: 's', capability, parameters: {} }).expect(200);
    expect([capability, body.success]).toEqual([capability, true]);
  }
  await until('Trace was told', () => trace.count('POST') > 0);
  expect([(await configured.connections()) > 0, (await found.connections()) > 0]).toEqual([true, true]);
  await server.close();
  await until('both were hung up on', async () => (await configured.connections()) + (await found.connections()) === 0, 1500);
  await Promise.all([configured.close(), found.close(), trace.vanish()]);
  await until('nothing is left', () => heldSince(before).length === 0).catch(() => undefined);
  expect(heldSince(before)).toEqual([]);
  await place.drop();
});
