import { Stop } from '../../../src/agents/agent-client.js';
import { HttpProtocol } from '../../../src/integration/agents/http-protocol.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { capabilities, type DescribingAgent, startDescribing } from '../../support/describing-agent.js';

describe('plain HTTP', () => {
  const outgoing = new Outgoing(['loopback']);
  const http = new HttpProtocol(outgoing);
  const started: DescribingAgent[] = [];
  afterAll(async () => {
    for (const agent of started) await agent.close();
    await outgoing.close();
  });
  const at = async (says: Record<string, unknown>, etag?: string, path = '') => {
    const agent = await startDescribing(says);
    started.push(agent);
    const found = await http.discover(agent.url + path, { stop: new Stop(), ...(etag !== undefined && { etag }) });
    return { agent, found };
  };

  it('knows an agent by its /capabilities, at the address that was asked', async () => {
    const document = capabilities('hello-world-agent', { supported_languages: ['en'], endpoint: 'http://localhost:1' });
    const { agent, found } = await at({ '/agents/a/capabilities': document }, undefined, '/agents/a/');
    expect(found).toMatchObject({
      agents: [
        {
          endpoint: `${agent.url}/agents/a`,
          description: {
            agent_id: 'hello-world-agent',
            name: 'The hello-world-agent',
            version: '1.0.0',
            capabilities: [{ output_schema: { type: 'object' } }],
          },
          document: { media_type: 'application/json', bytes: Buffer.from(JSON.stringify(document)) },
        },
      ],
      etag: expect.stringMatching(/^"/),
    });
  });

  it('is told by the etag that nothing has changed', async () => {
    const { agent, found } = await at({ '/capabilities': capabilities('same') });
    const etag = (found as { etag: string }).etag;
    expect(await http.discover(agent.url, { stop: new Stop(), etag })).toBe('unchanged');
  });

  it('leaves the /invoke dialect, another orchestrator and strangers to others', async () => {
    const invoked = { '/capabilities': capabilities('invoked'), '/schema': { input: {}, output: {}, config: {} } };
    expect((await at(invoked)).found).toBeNull();
    expect((await at({ '/capabilities': { capabilities: [{ name: 'x', agents: [] }], total: 1 } })).found).toBeNull();
    expect((await at({ '/': { hello: 'world' } })).found).toBeNull();
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['only says that it lives', { '/health': {} }, /full description/],
    ['offers nothing', { '/capabilities': { agent_id: 'a', capabilities: [] } }, /capabilities/],
    [
      'has a schema that is none',
      { '/capabilities': { agent_id: 'a', capabilities: [{ name: 'x', input_schema: 'text' }] } },
      /input_schema/,
    ],
  ])('says why an agent cannot be used that %s', async (_, says, why) => {
    await expect(at(says)).rejects.toMatchObject({ code: 'agent_not_understood', message: expect.stringMatching(why) });
  });
});
