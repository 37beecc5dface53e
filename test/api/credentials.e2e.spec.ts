import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GuardedAgent, startGuarded } from '../support/guarded-agent.js';
import { running } from '../support/orchestrator.js';
import { agentsFile, anyPlace, EXAMPLE, scratchDirectory } from '../support/place.js';
import { recorded } from '../support/recorded.js';

describe('an agent that lets nobody in without a token', () => {
  let agent: GuardedAgent;
  const ao = running(anyPlace, async () => {
    agent = await startGuarded();
    const file = join(await scratchDirectory(), 'credentials.json');
    const entry = { at: agent.url, token_url: `${agent.url}/token`, client_id: 'orchestrator', client_secret: 'hunter2', scope: 'guarded' };
    await writeFile(file, JSON.stringify({ credentials: [entry] }), { mode: 0o600 });
    const configured = { agent_id: 'configured', name: 'Configured', endpoint: `${agent.url}/configured`, capabilities: [{ name: 'one' }] };
    return { AGENT_CREDENTIALS_FILE: file, AGENTS_FILE: await agentsFile([EXAMPLE, configured]) };
  });
  afterAll(() => agent.close());

  it('is called with one, from the agents file or registered, and nothing of it is on the record', async () => {
    const registered = { agent_id: 'registered', name: 'Registered', endpoint: agent.url, capabilities: [{ name: 'two' }] };
    await ao.post('/v1/agents', registered).expect(200);
    for (const capability of ['one', 'two'])
      expect(await ao.orchestrate({ session_id: 's', capability })).toMatchObject({ success: true, data: { hello: 'world' } });
    expect(agent.heard.filter(({ path }) => path.endsWith('/execute')).map(({ authorization }) => authorization)).toEqual([
      'Bearer token-1',
      'Bearer token-1',
    ]);
    expect(agent.asked).toHaveLength(1);
    expect(JSON.stringify(await recorded(ao.db, 'true', []))).not.toMatch(/token-1|hunter2/);
  });
});
