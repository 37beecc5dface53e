/** Registering, changing, stopping and retiring agents over the API. */
import type { Server } from '../../src/server.system.js';
import { capabilities, type DescribingAgent, startDescribing } from '../support/describing-agent.js';
import { type Answer, type Body, running, start, until } from '../support/orchestrator.js';
import { agentsFile, describeEachPlace, EXAMPLE } from '../support/place.js';
import { aTime, recorded } from '../support/recorded.js';

// biome-ignore lint/suspicious/noExplicitAny: whatever the API said, looked into member by member
type Told = any;

const described = (agent_id: string, endpoint: string, more: Body = {}): Body => ({
  agent_id,
  name: agent_id,
  endpoint,
  capabilities: [{ name: `${agent_id}-greets`, input_schema: { type: 'object' } }],
  ...more,
});

describeEachPlace('an agent', (make) => {
  let agent: DescribingAgent;
  let other: DescribingAgent;
  const ao = running(make, async () => {
    agent = await startDescribing({ '/capabilities': capabilities('greeter'), '/execute': { success: true, data: { hello: 'world' } } });
    other = await startDescribing({ '/health': {}, '/execute': { success: true, data: { other: true } } });
    return {};
  });
  afterAll(async () => {
    await agent?.close();
    await other?.close();
  });
  const send = async (method: string, path: string, body?: Body) => {
    const answer = await fetch(ao.server.url + path, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as Told };
  };
  const history = (id: string) => recorded(ao.db, 'e.stream = $1', [`default/agent/${id}`]);

  it('registers by its address alone; what it says is kept byte for byte, and it is called', async () => {
    const { status, body } = await send('POST', '/v1/agents', { url: agent.url });
    expect([status, body['total'], body['changed'], body['errors']]).toEqual([200, 1, ['greeter'], []]);
    expect(body['agents'][0]).toMatchObject({
      agent_id: 'greeter',
      name: 'The greeter',
      protocol: 'http',
      endpoint: agent.url,
      source: { by: 'api', url: agent.url, signature: null },
      capabilities: [{ name: 'greeter-greets', input_schema: { type: 'object' }, output_schema: { type: 'object' } }],
    });
    const [registered] = await history('greeter');
    expect(registered!.record).toMatchObject({ seq: 1, type: 'agent.registered', version: '1.0.0' });
    expect(registered!.payload['document']).toEqual({
      media_type: 'application/json',
      encoding: 'utf-8',
      data: JSON.stringify(agent.says['/capabilities']),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const answer = await ao.orchestrate({ session_id: 's', capability: 'greeter-greets' });
    expect([answer.success, answer.data]).toEqual([true, { hello: 'world' }]);
    const [request] = await recorded(ao.db, 'e.event_id = $1', [answer.contract_id]);
    expect(request!.record['to_record']).toBe(registered!.hash);
    const again = await send('POST', '/v1/agents/register', { url: agent.url });
    expect([again.status, again.body['changed']]).toEqual([200, []]);
    expect(await history('greeter')).toHaveLength(1);
  });

  it('that does not describe itself is refused with what to do, and registers by a full description', async () => {
    const { status, body } = await send('POST', '/v1/agents', { url: other.url });
    expect([status, body['code'], body['detail']]).toEqual([422, 'agent_not_understood', expect.stringContaining('full description')]);
    const registered = await send('POST', '/v1/agents', described('other', other.url));
    expect([registered.status, registered.body['changed']]).toEqual([200, ['other']]);
    expect((await ao.orchestrate({ session_id: 's', agent_id: 'other' })).data).toEqual({ other: true });
  });

  it.each<[string, Body, number, string, RegExp]>([
    ['an address that is never allowed', { url: 'http://169.254.169.254/latest' }, 422, 'address_refused', /AGENT_NETWORKS/],
    ['a private address', { url: 'http://10.0.0.1' }, 422, 'address_refused', /AGENT_NETWORKS/],
    ['a private endpoint', described('x', 'http://192.168.0.1'), 422, 'address_refused', /AGENT_NETWORKS/],
    ['an address where nobody listens', { url: 'http://127.0.0.1:9999' }, 422, 'agent_unreachable', /ECONNREFUSED/],
    ['a name that leads nowhere', { url: 'http://no-such-host.invalid' }, 422, 'agent_unreachable', /cannot be resolved/],
    ['a protocol nobody speaks here', described('x', 'http://127.0.0.1:9', { protocol: 'smtp' }), 400, 'invalid_request', /smtp.*http/],
    ['a description without endpoint', { agent_id: 'x', name: 'X', capabilities: [{ name: 'a' }] }, 400, 'invalid_request', /endpoint/],
    ['half a description', { agent_id: 'x', endpoint: 'http://127.0.0.1:9' }, 400, 'invalid_request', /name.*capabilities/],
    ['a description beside the address', { url: 'http://127.0.0.1:9', agent_id: 'x' }, 400, 'invalid_request', /agent_id/],
    ['a file', { url: 'file:///etc/passwd' }, 400, 'invalid_request', /http or https/],
    [
      'a command to start',
      { agent_id: 'x', name: 'X', protocol: 'mcp', command: 'id', capabilities: [{ name: 'a' }] },
      400,
      'invalid_request',
      /command/,
    ],
    ['a reserved id', described('health', 'http://127.0.0.1:9'), 400, 'invalid_request', /reserved/],
  ])('is not registered by %s', async (_what, sent, status, code, detail) => {
    const answer = await send('POST', '/v1/agents', sent);
    expect([answer.status, answer.body['code'], answer.body['detail']]).toEqual([status, code, expect.stringMatching(detail)]);
    expect(await history('x')).toEqual([]);
  });

  it('described with a member that nobody knows is refused: a schema with a typing error would hold nobody to anything', async () => {
    const capabilities = [{ name: 'typed', inputSchema: { type: 'object' } }];
    for (const [method, path] of [
      ['POST', '/v1/agents'],
      ['PUT', '/v1/agents/typed'],
    ] as const) {
      const { status, body } = await send(method, path, { ...described('typed', other.url), capabilities });
      expect([status, body.errors]).toEqual([400, [{ field: 'capabilities.0.inputSchema', message: 'is not known here' }]]);
    }
  });

  it('keeps its id to its address; PUT moves it, and each description stays on the record', async () => {
    const first = await send('POST', '/v1/agents', described('mover', agent.url));
    const there = await send('POST', '/v1/agents', described('mover', other.url));
    expect([there.status, there.body['code'], there.body['detail']]).toEqual([409, 'agent_conflict', expect.stringContaining('PUT')]);
    const moved = await send('PUT', '/v1/agents/mover', described('mover', other.url, { version: '2.0.0' }));
    expect([moved.status, moved.body['endpoint'], moved.body['version']]).toEqual([200, other.url, '2.0.0']);
    expect((await ao.orchestrate({ session_id: 's', agent_id: 'mover' })).data).toEqual({ other: true });
    const [registered, updated] = await history('mover');
    expect(updated!.record).toMatchObject({ type: 'agent.updated', cause: registered!.record['id'], version: '2.0.0' });
    expect([first.body['agents'][0].record, moved.body['record']]).toEqual([registered!.hash, updated!.hash]);
    expect((await send('PUT', '/v1/agents/nobody', described('nobody', agent.url))).status).toBe(404);
    expect((await send('PUT', '/v1/agents/mover', described('another', agent.url))).status).toBe(400);
    expect((await send('PUT', '/v1/agents/agent_example_001', described('agent_example_001', agent.url))).status).toBe(409);
  });

  it('that is stopped finishes what it does and gets nothing new, until it is started', async () => {
    await send('POST', '/v1/agents', described('drainer', agent.url));
    const release = agent.hold();
    const running = ao.orchestrate({ session_id: 'd', capability: 'drainer-greets' });
    await until('the call is under way', async () => (await ao.get('/v1/agents/drainer')).body.in_flight === 1);
    expect((await send('POST', '/v1/agents/drainer/stop')).body).toMatchObject({ agent_id: 'drainer', status: 'stopped', in_flight: 1 });
    const refused = await ao.orchestrate({ session_id: 'd', capability: 'drainer-greets' });
    expect([refused.success, refused.error_code, refused.error]).toEqual([false, 'no_agent', expect.stringContaining('drainer')]);
    expect((await ao.orchestrate({ session_id: 'd', agent_id: 'drainer' })).error_code).toBe('no_agent');
    await send('POST', '/v1/agents', described('stand-in', other.url, { capabilities: [{ name: 'drainer-greets' }] }));
    expect((await ao.orchestrate({ session_id: 'd', capability: 'drainer-greets' })).agent_id).toBe('stand-in');
    release();
    expect((await running).data).toEqual({ hello: 'world' });
    await send('POST', '/v1/agents/drainer/stop'); // said twice, recorded once
    expect((await send('POST', '/v1/agents/drainer/start')).body['status']).toBe('available');
    expect((await ao.orchestrate({ session_id: 'd', agent_id: 'drainer' })).success).toBe(true);
    expect((await history('drainer')).map((e) => e.record['type'])).toEqual(['agent.registered', 'agent.stopped', 'agent.started']);
    expect((await send('POST', '/v1/agents/nobody/stop')).status).toBe(404);
  });

  it('that moves while it works finishes what it does where it was', async () => {
    await send('POST', '/v1/agents', described('nomad', agent.url, { max_concurrency: 1 }));
    const release = agent.hold();
    const working = ao.orchestrate({ session_id: 'n', capability: 'nomad-greets' });
    await until('as many calls are under way as it takes', async () => (await ao.get('/v1/agents/nomad')).body.status === 'busy');
    expect((await send('PUT', '/v1/agents/nomad', described('nomad', other.url))).body['status']).toBe('available');
    expect((await ao.orchestrate({ session_id: 'n', agent_id: 'nomad' })).data).toEqual({ other: true });
    release();
    expect((await working).data).toEqual({ hello: 'world' });
  });

  it('whose calls find nobody three times in a row is offline, and only then comes after others', async () => {
    const brief = await startDescribing({ '/execute': { success: true, data: { brief: true } } });
    const offers = { capabilities: [{ name: 'shared-work' }] };
    await send('POST', '/v1/agents', described('brief', brief.url, offers));
    await brief.close();
    for (let i = 0; i < 3; i++) {
      expect(await ao.orchestrate({ session_id: 'b', capability: 'shared-work' })).toMatchObject({
        agent_id: 'brief',
        error_code: 'agent_unreachable',
      });
    }
    await until('it is offline', async () => (await ao.get('/v1/agents/brief')).body.status === 'offline');
    expect((await history('brief')).at(-1)).toMatchObject({
      record: { type: 'agent.health', health: 'offline' },
      payload: { reason: expect.stringContaining('agent_unreachable') },
    });
    expect((await ao.orchestrate({ session_id: 'b', capability: 'shared-work' })).agent_id).toBe('brief'); // nobody else is left
    await send('POST', '/v1/agents', described('later', other.url, offers));
    expect((await ao.orchestrate({ session_id: 'b', capability: 'shared-work' })).agent_id).toBe('later');
    const { body } = await ao.get('/v1/agents/health');
    expect(body).toMatchObject({ unhealthy_agents: ['brief'], system_health: 'warning' });
  });

  it('that has retired is offered no more, and can be read as it was', async () => {
    await send('POST', '/v1/agents', described('veteran', agent.url));
    await send('PUT', '/v1/agents/veteran', described('veteran', agent.url, { version: '2.0.0' }));
    const before = new Date().toISOString();
    const gone = await send('DELETE', '/v1/agents/veteran');
    expect(gone).toEqual({ status: 200, body: { agent_id: 'veteran', retired_at: aTime } });
    expect((await ao.orchestrate({ session_id: 's', capability: 'veteran-greets' })).error_code).toBe('no_agent');
    expect((await ao.get('/v1/agents')).body.agents.map((a: { agent_id: string }) => a.agent_id)).not.toContain('veteran');
    const events = await history('veteran');
    expect(events.map((e) => e.record['type'])).toEqual(['agent.registered', 'agent.updated', 'agent.retired']);
    const read = async (at = '') => (await send('GET', `/v1/agents/veteran${at}`)).body;
    expect(await read()).toMatchObject({ status: 'retired', retired_at: gone.body['retired_at'], record: events[1]!.hash });
    await until('all of it has its place', async () => (await ao.db.query('SELECT 1 FROM pending')).length === 0);
    const idx = await ao.db.query<{ idx: number }>(
      'SELECT l.idx FROM leaf l JOIN event e ON e.id = l.event WHERE e.stream = $1 ORDER BY e.seq',
      ['default/agent/veteran'],
    );
    expect(await read(`?at=${idx[0]!.idx - 1}`)).toMatchObject({ status: 'unknown', as_of: { seq: 0 }, description: null });
    expect(await read(`?at=${idx[0]!.idx}`)).toMatchObject({
      status: 'available',
      record: events[0]!.hash,
      description: { version: '1.0.0' },
    });
    expect(await read(`?at=${idx[1]!.idx}`)).toMatchObject({
      status: 'available',
      record: events[1]!.hash,
      description: { version: '2.0.0' },
    });
    expect(await read(`?at=${idx[2]!.idx}`)).toMatchObject({ status: 'retired' });
    const [{ at }] = (await ao.db.query<{ at: Date }>('SELECT sequenced_at AS at FROM leaf WHERE idx = $1', [idx[1]!.idx])) as [
      { at: Date },
    ];
    expect(await read(`?at=${at.toISOString()}`)).toMatchObject({ as_of: { seq: expect.any(Number) } });
    expect(await read(`?at=${encodeURIComponent(new Date(Date.parse(before) + 60_000).toISOString())}`)).toMatchObject({
      status: 'retired',
    });
    expect(await read('?at=2001-01-01T00:00:00Z')).toMatchObject({ status: 'unknown' });
    expect((await send('GET', '/v1/agents/veteran?at=yesterday')).status).toBe(400);
    expect((await send('DELETE', '/v1/agents/veteran')).status).toBe(404);
    expect((await send('DELETE', '/v1/agents/agent_example_001')).body).toMatchObject({ code: 'agent_conflict' });
    // The id is free again; what follows stands behind what was.
    expect((await send('POST', '/v1/agents', described('veteran', other.url))).status).toBe(200);
    expect((await history('veteran')).map((e) => e.record['type']).at(-1)).toBe('agent.registered');
  });

  it('whose lease is over is offline until its next heartbeat', async () => {
    await send('POST', '/v1/agents', described('tenant', agent.url, { lease_seconds: 5 }));
    const beat = await send('POST', '/v1/agents/tenant/heartbeat', { lease_seconds: 3600 });
    expect(beat).toMatchObject({ status: 200, body: { agent_id: 'tenant', status: 'available', lease_until: aTime } });
    expect(Date.parse(beat.body['lease_until'])).toBeGreaterThan(Date.now() + 3_500_000);
    expect((await ao.get('/v1/agents/tenant')).body).toMatchObject({ lease_until: beat.body['lease_until'], last_heartbeat: aTime });
    await send('POST', '/v1/agents/tenant/heartbeat', {}); // five seconds again
    await until('its lease is over', async () => (await ao.get('/v1/agents/tenant')).body.status === 'offline', 15_000);
    expect((await history('tenant')).at(-1)).toMatchObject({
      record: { type: 'agent.health', health: 'offline' },
      payload: { reason: expect.stringContaining('lease') },
    });
    expect((await send('POST', '/v1/agents/nobody/heartbeat', {})).status).toBe(404);
  }, 30_000);

  it('leaves a record that verify finds nothing wrong with', async () => {
    const lines = (await (await fetch(`${ao.server.url}/v1/verify`, { method: 'POST' })).text()).trimEnd().split('\n');
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ verdict: 'valid' });
  });
});

describeEachPlace('after a restart', (make) => {
  it('who was registered is there, stopped if he was stopped, and who retired is not', async () => {
    const place = await make();
    const agent = await startDescribing({ '/capabilities': capabilities('greeter'), '/execute': { success: true, data: { n: 1 } } });
    const settings = { AGENTS_FILE: await agentsFile([EXAMPLE]) };
    const post = async (server: Server, path: string, body: Body = {}) =>
      (
        await fetch(server.url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
      ).json() as Promise<Told>;
    const first = await start(place, settings);
    await post(first, '/v1/agents', { url: agent.url });
    for (const id of ['idle', 'former']) await post(first, '/v1/agents', described(id, agent.url));
    await post(first, '/v1/agents/idle/stop');
    await post(first, '/v1/agents/agent_example_001/stop');
    await fetch(`${first.url}/v1/agents/former`, { method: 'DELETE' });
    const before = (await (await fetch(`${first.url}/v1/agents`)).json()) as { agents: object[] };
    await first.close();
    const second = await start(place, settings);
    try {
      const after = (await (await fetch(`${second.url}/v1/agents`)).json()) as { agents: { agent_id: string; status: string }[] };
      expect(after.agents.map((a) => [a.agent_id, a.status])).toEqual([
        ['agent_example_001', 'stopped'],
        ['greeter', 'available'],
        ['idle', 'stopped'],
      ]);
      expect(after).toEqual(before);
      const answer = (await post(second, '/v1/orchestrate', { session_id: 's', capability: 'greeter-greets' })) as Answer;
      expect([answer.success, answer.data]).toEqual([true, { n: 1 }]);
    } finally {
      await second.close();
      await agent.close();
      await place.drop();
    }
  });
});
