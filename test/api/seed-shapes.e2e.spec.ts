/**
 * The shapes clients of this API's predecessor were written for. They are written down here and nowhere else: an answer may have more
 * members, never fewer, never of another type.
 */
import { z } from 'zod';
import { running, settled } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';

const AnObject = z.record(z.string(), z.unknown());
const Time = z.iso.datetime();
const Ulid = z.string().regex(/^[0-9A-HJKMNP-TV-Z]{26}$/);
/** A member that must be there, whatever it holds. */
const Anything = z.unknown().refine((value) => value !== undefined, 'is missing');

const Orchestrated = z.object({
  success: z.boolean(),
  data: Anything,
  error: z.string().nullable(),
  contract_id: Ulid,
  agent_id: z.string().nullable(),
  timestamp: Time,
});

const Contract = z.object({
  contract_id: Ulid,
  session_id: z.string(),
  contract_type: z.enum(['REQUEST', 'RESPONSE']),
  from_agent: z.string(),
  to_agent: z.string(),
  capability: z.string(),
  payload: AnObject,
  status: z.enum(['pending', 'in_progress', 'completed', 'failed', 'cancelled']),
  created_at: Time,
  completed_at: Time.nullable(),
  result: Anything,
  error: z.string().nullable(),
  metadata: AnObject,
});

const Contracts = z.object({ session_id: z.string(), contracts: z.array(Contract), total: z.int() });

const Agents = z.object({
  agents: z.array(
    z.object({
      agent_id: z.string(),
      name: z.string(),
      description: z.string(),
      capabilities: z.array(z.object({ name: z.string(), description: z.string() })).min(1),
      status: z.enum(['available', 'busy', 'offline', 'error']),
      version: z.string(),
      endpoint: z.string().nullable(),
      registered_at: Time,
      last_heartbeat: Time.nullable(),
      tasks_completed: z.int(),
      tasks_failed: z.int(),
    }),
  ),
  total: z.int(),
});

const Compressed = z.object({
  status: z.enum(['ok', 'error']),
  session_id: z.string(),
  compressed: z.boolean(),
  memory_block: AnObject.nullable(),
  error: z.string().nullable(),
});

const Counts = z.record(z.string(), z.int());

const Status = z.object({
  orchestrator: AnObject,
  agents: z.object({ total: z.int(), by_status: Counts, registered: z.array(z.string()) }),
  contracts: z.object({ total_sessions: z.int(), total_contracts: z.int(), by_status: Counts }),
  integrations: z.object({ memagent: Anything, trace: Anything, all_healthy: z.boolean() }),
});

const Health = z.object({ status: z.literal('healthy') });

describe('a client of the predecessor', () => {
  const ao = running(anyPlace);
  const REQUEST = { session_id: 'test', capability: 'echo', parameters: { text: 'hi' }, context: { user: 'u' }, intent: 'to greet' };

  it('sends what it always sent to POST /v1/orchestrate and finds every member of the answer', async () => {
    expect(Orchestrated.parse(await ao.orchestrate(REQUEST))).toMatchObject({ success: true, error: null, agent_id: 'agent_example_001' });
    expect(Orchestrated.parse(await ao.orchestrate({ session_id: 'test', capability: 'echo' }))).toBeDefined();
  });

  it('gets a task that fails, and one that nobody can do, in the same shape', async () => {
    const failed = Orchestrated.parse(await ao.orchestrate({ session_id: 'failing', capability: 'throws-at-once' }));
    expect(failed).toMatchObject({ success: false, data: null, error: expect.stringContaining('out of order'), agent_id: 'moody' });
    const nobody = Orchestrated.parse(await ao.orchestrate({ session_id: 'failing', capability: 'nobody-offers-this' }));
    expect(nobody).toMatchObject({ success: false, data: null, error: expect.any(String), agent_id: null });
  });

  it('finds every member of GET /v1/contracts, by session and by agent', async () => {
    const { contract_id } = await ao.orchestrate({ ...REQUEST, session_id: 'listed' });
    const { body } = await ao.get('/v1/contracts?session_id=listed');
    const { contracts, total } = Contracts.parse(body);
    expect([contracts.length, total]).toEqual([2, 2]);
    expect(contracts.map((c) => c.contract_type)).toEqual(['REQUEST', 'RESPONSE']);
    expect(contracts[0]).toMatchObject({ contract_id, payload: REQUEST.parameters, status: 'completed' });
    const by = await ao.get('/v1/contracts?session_id=listed&from_agent=agent_example_001&to_agent=orchestrator');
    expect(Contracts.parse(by.body).contracts.map((c) => c.contract_type)).toEqual(['RESPONSE']);
  });

  it('finds every member of GET /v1/agents', async () => {
    const { agents, total } = Agents.parse((await ao.get('/v1/agents')).body);
    expect([agents.map((a) => a.agent_id), total]).toEqual([['agent_example_001', 'moody'], 2]);
  });

  it('sends what it always sent to POST /v1/compress and finds every member of the answer', async () => {
    await ao.orchestrate({ ...REQUEST, session_id: 'compressed' });
    const { status, body } = await ao.post('/v1/compress', { session_id: 'compressed', intent: 'Testing echo' });
    expect([status, Compressed.parse(body)]).toEqual([200, expect.objectContaining({ status: 'ok', compressed: true, error: null })]);
  });

  it('registers an agent as it always would have, parameters in words and all', async () => {
    const capability = { name: 'my_capability', description: 'Mine', parameters: { param1: 'string' } };
    const more = { name: 'Mine', description: 'Does custom things', endpoint: 'http://127.0.0.1:9', version: '2.0.0' };
    const { status } = await ao.post('/v1/agents/register', { agent_id: 'my_agent_001', ...more, capabilities: [capability] });
    expect(status).toBe(200);
    const { agents } = Agents.parse((await ao.get('/v1/agents')).body);
    expect(agents.find(({ agent_id }) => agent_id === 'my_agent_001')).toMatchObject({ ...more, status: 'available' });
    expect((await ao.get('/v1/agents/my_agent_001')).body.capabilities).toEqual([capability]);
    await fetch(`${ao.server.url}/v1/agents/my_agent_001`, { method: 'DELETE' });
  });

  it('finds every member of GET /v1/status and /v1/health', async () => {
    await settled(ao.db);
    const status = Status.parse((await ao.get('/v1/status')).body);
    expect(status.agents).toEqual({
      total: 2,
      by_status: expect.objectContaining({ available: 2 }),
      registered: ['agent_example_001', 'moody'],
    });
    expect(Object.keys(status.contracts.by_status)).toEqual(expect.arrayContaining(['pending', 'completed', 'failed', 'cancelled']));
    const { status: code, body } = await ao.get('/v1/health');
    expect([code, Health.parse(body)]).toEqual([200, { status: 'healthy' }]);
  });

  it('would be told if a member went missing', () => {
    expect(
      Orchestrated.safeParse({
        success: true,
        error: null,
        contract_id: '0'.repeat(26),
        agent_id: 'a',
        timestamp: '2026-11-21T12:16:15.989Z',
      }).success,
    ).toBe(false);
  });
});
