import type { Server } from '../../src/server.system.js';
import { type Answer, running, settled, start, until } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, describeEachPlace, EXAMPLE, MOODY } from '../support/place.js';
import { aTime, recorded } from '../support/recorded.js';

const SCHEMA = { type: 'object', properties: { n: { type: 'number' } } };

describeEachPlace('agents', (make) => {
  let peer: Peer;
  const ao = running(make, async () => {
    peer = await startPeer({ far: says('{"success":true}') });
    const gone = await startPeer({});
    await gone.close();
    const remote = {
      name: 'Remote',
      version: '2.0.0',
      capabilities: [{ name: 'far', description: 'Far away', input_schema: SCHEMA }, { name: 'echo' }],
    };
    return {
      PROBE_INTERVAL_SECONDS: '1',
      AGENTS_FILE: await agentsFile([
        EXAMPLE,
        MOODY,
        { agent_id: 'remote', endpoint: `${peer.url}/agents/remote/`, ...remote },
        { agent_id: 'gone', endpoint: gone.url, ...remote },
      ]),
    };
  });
  afterAll(() => peer?.close());
  const agent = async (id: string) => (await ao.get(`/v1/agents/${id}`).expect(200)).body;

  it('are listed with what they can do', async () => {
    const { status, body } = await ao.get('/v1/agents');
    expect([status, body.total]).toEqual([200, 4]);
    expect(body.agents.map((a: { agent_id: string }) => a.agent_id)).toEqual(['agent_example_001', 'moody', 'remote', 'gone']);
    expect(body.agents[2]).toEqual({
      agent_id: 'remote',
      name: 'Remote',
      description: '',
      version: '2.0.0',
      capabilities: [
        { name: 'far', description: 'Far away', input_schema: SCHEMA },
        { name: 'echo', description: '' },
      ],
      status: 'available',
      protocol: 'http',
      endpoint: `${peer.url}/agents/remote/`,
      registered_at: aTime,
      record: expect.stringMatching(/^[0-9a-f]{64}$/),
      source: { by: 'file', url: null, signature: null },
      last_heartbeat: null,
      in_flight: 0,
      tasks_completed: 0,
      tasks_failed: 0,
    });
  });

  it('are probed: who lives here is healthy, who does not answer is not, of the others nothing is known', async () => {
    await until('everybody was asked and "gone" is offline', async () => (await agent('gone')).status === 'offline');
    const { status, body } = await ao.get('/v1/agents/health');
    expect(status).toBe(200);
    expect(body).toEqual({
      agents: [
        { agent_id: 'agent_example_001', state: 'available', status: 'healthy', error: null, checked_at: aTime },
        { agent_id: 'moody', state: 'available', status: 'healthy', error: null, checked_at: aTime },
        { agent_id: 'remote', state: 'available', status: 'unknown', error: expect.stringContaining('/health'), checked_at: aTime },
        { agent_id: 'gone', state: 'offline', status: 'unhealthy', error: expect.stringContaining('ECONNREFUSED'), checked_at: aTime },
      ],
      total: 4,
      healthy_agents: ['agent_example_001', 'moody', 'remote'],
      unhealthy_agents: ['gone'],
      total_agents: 4,
      system_health: 'warning',
    });
    expect(new Set(peer.heard.map((h) => h.path))).toEqual(new Set(['/agents/remote/health']));
    const gone = await recorded(ao.db, `e.stream = 'default/agent/gone'`, []);
    expect(gone.map((e) => [e.record['type'], e.record['health']])).toEqual([
      ['agent.registered', undefined],
      ['agent.health', 'offline'],
    ]);
    expect(gone[1]!.payload).toEqual({ reason: expect.stringContaining('ECONNREFUSED') });
    expect(await agent('gone')).toMatchObject({ last_heartbeat: null, lease_until: null, health: { status: 'unhealthy' } });
    expect(await agent('moody')).toMatchObject({ last_heartbeat: aTime, health: { status: 'healthy', error: null } });
    const { agents } = (await ao.get('/v1/status')).body;
    expect(agents).toMatchObject({ total: 4, by_status: { available: 3, busy: 0, offline: 1, error: 0, stopped: 0 } });
  });

  it('that nobody knows are a 404', async () => {
    const { status, body } = await ao.get('/v1/agents/nobody');
    expect([status, body.code, body.detail]).toEqual([404, 'not_found', expect.stringContaining('"nobody"')]);
  });

  it('are found by capability, each with its own schemas', async () => {
    const { status, body } = await ao.get('/v1/capabilities');
    const names = body.capabilities.map((c: { name: string }) => c.name);
    expect([status, body.total]).toEqual([200, names.length]);
    expect(names).toEqual([...names].sort());
    const of = (name: string) => body.capabilities.find((c: { name: string }) => c.name === name);
    const far = { version: '2.0.0', description: 'Far away', input_schema: SCHEMA, output_schema: null };
    expect(of('far')).toEqual({
      name: 'far',
      agents: [
        { agent_id: 'remote', ...far },
        { agent_id: 'gone', ...far },
      ],
    });
    expect(of('echo').agents).toMatchObject([
      { agent_id: 'agent_example_001', input_schema: { required: ['text'] }, output_schema: { required: ['message'] } },
      { agent_id: 'remote', input_schema: null, output_schema: null },
      { agent_id: 'gone', input_schema: null, output_schema: null },
    ]);
  });

  it('have done what the record says', async () => {
    const before = await agent('moody');
    await ao.orchestrate({ session_id: 's', capability: 'mirrors' });
    await ao.orchestrate({ session_id: 's', capability: 'mirrors' });
    await ao.orchestrate({ session_id: 's', capability: 'refuses' });
    await ao.orchestrate({ session_id: 's', capability: 'nobody-offers-this' });
    await settled(ao.db);
    expect(await agent('moody')).toMatchObject({ tasks_completed: before.tasks_completed + 2, tasks_failed: before.tasks_failed + 1 });
    const { body } = await ao.get('/v1/agents/moody/metrics').expect(200);
    expect(body).toMatchObject({ requests: 3, completed: 2, failed: 1, cancelled: 0, success_rate: 2 / 3, in_flight: 0, measured: 3 });
    expect(body.p50_ms).toBeGreaterThanOrEqual(0);
    expect(body.p95_ms).toBeGreaterThanOrEqual(body.p50_ms);
    expect(body.last_error).toEqual({ contract_id: expect.any(String), code: 'agent_failed', message: expect.any(String), at: aTime });
    await ao.get('/v1/agents/nobody/metrics').expect(404);
  });
});

describeEachPlace('after a restart', (make) => {
  it('agents still have done what the record says', async () => {
    const place = await make();
    const told = async (server: Server, path: string) => (await fetch(`${server.url}${path}`)).json() as Promise<Record<string, unknown>>;
    const first = await start(place);
    const response = await fetch(`${first.url}/v1/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ session_id: 's', capability: 'mirrors' }),
    });
    expect(((await response.json()) as Answer).success).toBe(true);
    await first.close();
    const second = await start(place);
    try {
      await until('the follower has caught up', async () => (await told(second, '/v1/agents/moody'))['tasks_completed'] === 1);
      expect(await told(second, '/v1/agents/agent_example_001')).toMatchObject({ tasks_completed: 0, tasks_failed: 0 });
    } finally {
      await second.close();
      await place.drop();
    }
  });
});
