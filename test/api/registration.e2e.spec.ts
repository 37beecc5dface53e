import { writeFile } from 'node:fs/promises';
import type { Server } from '../../src/server.system.js';
import { server as postgres } from '../support/databases.js';
import { type Answer, start } from '../support/orchestrator.js';
import { agentsFile, describeEachPlace, EXAMPLE, emptyPlace, inspect, MOODY, type Place } from '../support/place.js';
import { type Recorded, recorded } from '../support/recorded.js';
import { expectSound } from '../support/sound.js';

const REMOTE = {
  agent_id: 'remote',
  name: 'Remote',
  version: '1.0.0',
  capabilities: [{ name: 'far', description: 'Does it far away', input_schema: { type: 'object', properties: {} } }],
  endpoint: 'http://127.0.0.1:9/agent',
};

describeEachPlace('agents at start', (make) => {
  let place: Place;
  let file: string;
  beforeEach(async () => {
    place = await make();
    file = await agentsFile([EXAMPLE, REMOTE]);
  });
  afterEach(async () => {
    await inspect(place, expectSound);
    await place.drop();
  });

  const once = async <T>(work: (server: Server) => Promise<T>): Promise<T> => {
    const server = await start(place, { AGENTS_FILE: file });
    try {
      return await work(server);
    } finally {
      await server.close();
    }
  };
  const history =
    (agent: string) =>
    (server: Server): Promise<Recorded[]> =>
      recorded(server.ledger.db, 'e.stream = $1', [`default/agent/${agent}`]);
  const configure = (...agents: object[]) => writeFile(file, JSON.stringify({ agents }));

  it('are put on the record once, and a second start with the same description adds nothing', async () => {
    const first = await once(history('remote'));
    expect(first.map((e) => e.record)).toMatchObject([{ seq: 1, type: 'agent.registered', version: '1.0.0' }]);
    expect(first[0]!.payload).toEqual({ description: { ...REMOTE, description: '', protocol: 'http' } });
    const { endpoint, name, capabilities, version, agent_id } = REMOTE;
    await configure({ endpoint, capabilities, version, name, agent_id, description: '' }, EXAMPLE); // said in another order
    expect(await once(history('remote'))).toEqual(first);
    expect(await once(history('agent_example_001'))).toHaveLength(1);
  });

  it('whose description changed are updated, and later REQUESTs name the new record', async () => {
    const [registered] = await once(history('remote'));
    await configure(EXAMPLE, { ...REMOTE, version: '1.1.0' });
    const [answer, events] = await once(async (server) => {
      const response = await fetch(`${server.url}/v1/orchestrate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ session_id: 's', capability: 'far' }),
      });
      return [
        (await response.json()) as Answer,
        await recorded(server.ledger.db, `e.stream = $1 OR e.type = 'contract.request'`, ['default/agent/remote']),
      ];
    });
    const [before, updated] = events;
    const request = events.at(-1);
    expect(before).toEqual(registered);
    expect(updated!.record).toMatchObject({
      seq: 2,
      type: 'agent.updated',
      version: '1.1.0',
      cause: registered!.record['id'],
      prev: registered!.hash,
    });
    expect(request!.record).toMatchObject({ id: answer.contract_id, to: 'remote', to_version: '1.1.0', to_record: updated!.hash });
    expect(answer.error_code).toBe('agent_unreachable');

    await configure(EXAMPLE, REMOTE); // back to what it was: a change like any other
    const types = (await once(history('remote'))).map((e) => e.record['type']);
    // Three attempts found nobody there: where a server lives long enough to look, that is on the record too.
    expect(types.filter((type) => type !== 'agent.health')).toEqual(['agent.registered', 'agent.updated', 'agent.updated']);
  });

  it('that are configured no more are not offered, and their history stays', async () => {
    await once(history('remote'));
    await configure(EXAMPLE);
    const [agents, events] = await once(async (server) => [
      await (await fetch(`${server.url}/v1/agents`)).json(),
      await history('remote')(server),
    ]);
    expect((agents as { agents: { agent_id: string }[] }).agents.map((a) => a.agent_id)).toEqual(['agent_example_001']);
    expect(events).toHaveLength(1);
  });
});

(postgres ? describe : describe.skip)('replicas that start at once on one empty PostgreSQL', () => {
  it('bring up the schema once and register each agent once', async () => {
    const place = await emptyPlace(true);
    const file = await agentsFile([EXAMPLE, MOODY, REMOTE]);
    const replicas = await Promise.all(Array.from({ length: 3 }, () => start(place, { AGENTS_FILE: file })));
    try {
      const db = replicas[0]!.ledger.db;
      const events = await recorded(db, 'true', []);
      expect(events.map((e) => [e.record['stream'], e.record['type']])).toEqual(
        ['agent_example_001', 'moody', 'remote'].map((id) => [`default/agent/${id}`, 'agent.registered']),
      );
      expect(replicas.flatMap((r) => r.ledger.migrated).sort()).toEqual(
        (await db.query<{ name: string }>('SELECT name FROM migration ORDER BY name')).map((m) => m.name),
      );
      const hashes = await Promise.all(
        replicas.map(async (r) =>
          ((await (await fetch(`${r.url}/v1/agents`)).json()) as { agents: { record: string }[] }).agents.map((a) => a.record),
        ),
      );
      for (const each of hashes) expect(each).toEqual(events.map((e) => e.hash));
    } finally {
      await Promise.all(replicas.map((r) => r.close()));
    }
    await inspect(place, expectSound);
    await place.drop();
  });
});
