import type { Server } from '../../src/server.system.js';
import { describeOnServer } from '../support/databases.js';
import { nap } from '../support/nap.js';
import { start, until } from '../support/orchestrator.js';
import { anyPlace, type Place } from '../support/place.js';
import { type BreakingProxy, openProxy } from '../support/proxy.js';
import { aTime } from '../support/recorded.js';

const ask = async (server: Server, path: string) => {
  const answer = await fetch(`${server.url}${path}`);
  return { status: answer.status, retryAfter: answer.headers.get('retry-after'), body: (await answer.json()) as Record<string, unknown> };
};

it('an orchestrator that is told to stop is alive but not ready until the last call has ended', async () => {
  const place = await anyPlace();
  const server = await start(place);
  try {
    const well = { service: 'agent-orchestrator', version: expect.any(String), timestamp: aTime };
    expect(await ask(server, '/v1/health/live')).toMatchObject({ status: 200, body: { status: 'alive', ...well } });
    expect(await ask(server, '/v1/health/ready')).toMatchObject({ status: 200, body: { status: 'ready', ...well } });
    const { parameters, begun, wake } = await nap();
    const call = fetch(`${server.url}/v1/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ session_id: 's', capability: 'sleeps', parameters }),
    });
    await begun();
    const closed = server.close();
    expect(await ask(server, '/v1/health/ready')).toMatchObject({ status: 503, retryAfter: '5', body: { code: 'shutting_down' } });
    expect((await ask(server, '/v1/health/live')).status).toBe(200);
    await wake();
    expect(await (await call).json()).toMatchObject({ success: true });
    await closed;
  } finally {
    await server.close();
    await place.drop();
  }
});

describeOnServer('while the database is away', () => {
  let place: Place;
  let proxy: BreakingProxy;
  let server: Server;
  beforeAll(async () => {
    place = await anyPlace();
    proxy = await openProxy(place.settings.DATABASE_URL!);
    server = await start({ ...place, settings: { ...place.settings, DATABASE_URL: proxy.url } });
    proxy.open(false);
  });
  afterAll(async () => {
    proxy.open(true);
    await until('it is back', async () => (await ask(server, '/v1/health/ready')).status === 200);
    await server.close();
    await proxy.close();
    await place.drop();
  });

  it.each(['/v1/health/live', '/v1/capabilities', '/openapi.json'])('%s answers all the same', async (path) => {
    expect((await ask(server, path)).status).toBe(200);
  });

  it.each([
    '/v1/health',
    '/v1/health/ready',
    '/v1/status',
    '/v1/agents',
    '/v1/agents/health',
    '/v1/agents/moody',
    '/v1/sessions',
    '/v1/sessions/s',
    '/v1/contracts',
    '/v1/contracts?session_id=s',
    '/v1/contracts/01ARZ3NDEKTSV4RRFFQ69G5FAV',
  ])('%s is a 503 that says when to try again', async (path) => {
    const answer = await ask(server, path);
    expect(answer).toMatchObject({
      status: 503,
      retryAfter: '5',
      body: { code: 'ledger_unavailable', detail: expect.stringMatching(/^the database does not answer: ./) },
    });
  });
});
