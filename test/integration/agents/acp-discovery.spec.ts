/** Documents of strangers that are wrong, hostile or of somebody else, whatever the dialect. */

import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Stop } from '../../../src/agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../../src/agents/agent-protocol.js';
import { AgntcyProtocol } from '../../../src/integration/agents/acp/agntcy.client.js';
import { BeeAiProtocol } from '../../../src/integration/agents/acp/beeai.client.js';
import { InvokeProtocol } from '../../../src/integration/agents/acp/invoke.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { json, RAW, startAcpPeer } from '../../support/peers/acp-peer.js';

const outgoing = new Outgoing(['loopback']);
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => outgoing.close());

const AGENT = '3f8a1c52-8a52-4d2c-9a3c-0d5a8f6f1b11';
const OTHER = '4f8a1c52-8a52-4d2c-9a3c-0d5a8f6f1b11';

interface Made {
  name?: string;
  input?: unknown;
  description?: string;
  capabilities?: { name: string; description: string }[];
}

/** The same agent described in the three dialects: what it serves by path, pages of lists without their query. */
const bee = ({ name = 'one', description = 'An agent', input, capabilities }: Made) => ({
  name,
  description,
  input_content_types: ['*/*'],
  output_content_types: ['*/*'],
  metadata: {
    ...(capabilities && { capabilities }),
    ...(input !== undefined && { annotations: { schemas: { [capabilities?.[0]?.name ?? name]: { input_schema: input } } } }),
  },
});
const agntcy = ({ name = 'one', description = 'An agent', input = { type: 'object' } }: Made) => ({
  metadata: { ref: { name, version: '1' }, description },
  specs: { capabilities: {}, input, output: { type: 'object' }, config: {} },
});
const found = (id: string, name = 'one') => ({ agent_id: id, metadata: { ref: { name, version: '1' }, description: '' } });
const invoke = ({ name = 'one', description = 'An agent', input, capabilities }: Made) => ({
  agent_id: name,
  description,
  capabilities: (capabilities ?? [{ name, description }]).map((c) => ({ ...c, ...(input !== undefined && { input_schema: input }) })),
});

const DIALECTS: [string, AgentProtocol, { entry: string; serve: (made: Made) => Record<string, unknown> }][] = [
  [
    'acp-agntcy',
    new AgntcyProtocol(outgoing),
    {
      entry: '/agents/search',
      serve: (made) => ({ '/agents/search': [found(AGENT, made.name)], [`/agents/${AGENT}/descriptor`]: agntcy(made) }),
    },
  ],
  [
    'acp-beeai',
    new BeeAiProtocol(outgoing),
    { entry: '/agents', serve: (made) => ({ '/agents': { agents: [bee(made)] }, [`/agents/${made.name ?? 'one'}`]: bee(made) }) },
  ],
  ['acp-invoke', new InvokeProtocol(outgoing), { entry: '/capabilities', serve: (made) => ({ '/capabilities': invoke(made) }) }],
];

async function listening(server: Server): Promise<number> {
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  closing.push(() => new Promise((closed) => server.close(() => closed())));
  return (server.address() as AddressInfo).port;
}

async function serving(documents: Record<string, unknown>) {
  const peer = await startAcpPeer(({ path }, response) => {
    const document = documents[path.replace(/\?.*/, '')];
    if (typeof document === 'function') return document(response);
    return document === undefined ? json(response, 'not here', 404) : json(response, document);
  });
  closing.push(() => peer.close());
  return peer;
}

describe.each(DIALECTS)('discovery of %s', (_name, protocol, { entry, serve }) => {
  const discover = async (documents: Record<string, unknown>) =>
    (await protocol.discover((await serving(documents)).url, { stop: new Stop() })) as Discovery | null;
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => null,
      (error: { code: string; message: string }) => error,
    );

  it('finds nobody where another protocol is spoken', async () => {
    expect(await discover({})).toBeNull();
    expect(await discover({ [entry]: { agents: [{ agent_id: 'a', name: 'A', capabilities: [] }], total: 1 } })).toBeNull();
    expect(await discover({ [entry]: { agents: [] } })).toBeNull();
    expect(await discover({ [entry]: [] })).toBeNull();
    expect(await discover({ [entry]: RAW['page'] })).toBeNull();
    expect(await discover({ [entry]: RAW['who are you'] })).toBeNull();
  });

  it('refuses a document of 5 MB without reading it to its end', async () => {
    const error = await refusal(discover({ [entry]: RAW['huge'] }));
    expect(error).toMatchObject({ code: 'agent_not_understood', message: expect.stringMatching(/answers more than \d+ bytes/) });
  });

  it('refuses what says it is JSON and is not', async () => {
    expect(await refusal(discover({ [entry]: RAW['garbage'] }))).toMatchObject({
      code: 'agent_not_understood',
      message: expect.stringContaining(entry),
    });
  });

  it('is not led elsewhere', async () => {
    const error = await refusal(discover({ [entry]: RAW['moved'] }));
    expect(error).toMatchObject({ code: 'address_refused', message: expect.stringContaining('redirects are not followed') });
  });

  it('says of an address where nobody speaks HTTP that it is unreachable', async () => {
    const port = await listening(createTcpServer((socket) => socket.resume().end('SSH-2.0-x\r\n')));
    expect(await refusal(protocol.discover(`http://127.0.0.1:${port}`, { stop: new Stop() }))).toMatchObject({ code: 'agent_unreachable' });
  });

  it('says of an address with a broken TLS or without a name that it is unreachable', async () => {
    const port = await listening(createTlsServer({})); // no certificate
    expect(await refusal(protocol.discover(`https://127.0.0.1:${port}`, { stop: new Stop() }))).toMatchObject({
      code: 'agent_unreachable',
    });
    const nowhere = await refusal(protocol.discover('http://no-such-host.invalid', { stop: new Stop() }));
    expect(nowhere).toMatchObject({ code: 'agent_unreachable', message: expect.stringContaining('no-such-host.invalid') });
  });

  it('ends when it is stopped, whoever accepts and never answers', async () => {
    const stop = new Stop();
    const { url } = await serving({ [entry]: RAW['hang'] });
    setTimeout(() => stop.stop(new Error('no answer within 5 s')), 50);
    expect(await refusal(protocol.discover(url, { stop }))).toMatchObject({
      code: 'agent_unreachable',
      message: expect.stringContaining('within 5 s'),
    });
  });

  it('keeps an agent whose schema holds nothing, and says that it is not used', async () => {
    const discovery = await discover(
      serve({ input: { type: 'nothing-we-know' }, capabilities: [{ name: 'one', description: 'An agent' }] }),
    );
    const [capability] = discovery!.agents[0]!.description.capabilities;
    expect(capability).not.toHaveProperty('input_schema');
    expect(capability!.description).toMatch(/^An agent \(Its input_schema is not used: .*it is no JSON Schema/);
    expect(discovery!.agents[0]!.document.bytes.toString()).toContain('nothing-we-know');
  });

  it('keeps a schema that accepts nothing', async () => {
    const discovery = await discover(serve({ input: { not: {} } }));
    expect(discovery!.agents[0]!.description.capabilities[0]!.input_schema).toEqual({ not: {} });
  });

  it('never fetches what a schema refers to', async () => {
    const elsewhere = await serving({ '/s': {} });
    const discovery = await discover(serve({ input: { $ref: `${elsewhere.url}/s` } }));
    expect(discovery!.agents[0]!.description.capabilities[0]!.description).toMatch(/nothing is ever fetched/);
    expect(elsewhere.asked).toEqual([]);
  });

  it('cuts a description that has no end', async () => {
    const discovery = await discover(serve({ description: 'x'.repeat(50_000) }));
    expect(discovery!.agents[0]!.description.description).toHaveLength(4000);
  });
});

describe('discovery of many', () => {
  const [, [, beeai], [, plain]] = DIALECTS as unknown as [unknown, [string, AgentProtocol], [string, AgentProtocol]];
  const capability = (name: string) => ({ name, description: name });

  it.each<[string, AgentProtocol, (made: Made) => Record<string, unknown>]>([
    ['acp-beeai', beeai, DIALECTS[1]![2].serve],
    ['acp-invoke', plain, DIALECTS[2]![2].serve],
  ])('capabilities with odd names (%s) keeps those that can be named, and says which it left out', async (_n, protocol, serve) => {
    const capabilities = ['add', 'Größe messen', '日本', 'add', '../etc'].map(capability);
    const { url } = await serving(serve({ capabilities }));
    const { description } = ((await protocol.discover(url, { stop: new Stop() })) as Discovery).agents[0]!;
    expect(description.capabilities.map(({ name }) => name)).toEqual(['add', 'Gr-e-messen', 'etc']);
    expect(description.capabilities[1]!.description).toBe('Größe messen: Größe messen');
    expect(description.description).toMatch(/Left out: capability "".*Left out: capability "add", "add" stands there twice/);
  });

  it('capabilities, 10 000 of them, refuses the agent and says so', async () => {
    const capabilities = Array.from({ length: 10_000 }, (_, i) => capability(`c${i}`));
    const { url } = await serving(DIALECTS[2]![2].serve({ capabilities }));
    await expect(plain.discover(url, { stop: new Stop() })).rejects.toMatchObject({
      code: 'agent_not_understood',
      message: expect.stringMatching(/capabilities: Too big: expected array to have <=500 items|more than \d+ bytes/),
    });
  });

  it('agents skips those that cannot be used, each with the reason, and keeps the others', async () => {
    const documents: Record<string, unknown> = {
      '/agents': { agents: [bee({}), { name: 'Not A Label' }, bee({}), bee({ name: 'gone' }), bee({ name: 'register' })] },
      '/agents/one': bee({}),
      '/agents/register': bee({ name: 'register' }),
    };
    const discovery = (await beeai.discover((await serving(documents)).url, { stop: new Stop() })) as Discovery;
    expect(discovery.agents.map(({ description }) => description.agent_id)).toEqual(['one']);
    expect(discovery.skipped).toEqual([
      'agent gone: it is listed, but has no manifest',
      'agent register: its manifest cannot be used: agent_id: is a reserved word',
      'agent 2 of the list is none that this protocol knows',
      'agent one is listed twice',
    ]);
  });

  it('agents of one name gives the id to the first and tells how to register the other', async () => {
    const documents = {
      '/agents/search': [found(AGENT), found(OTHER)],
      [`/agents/${AGENT}/descriptor`]: agntcy({}),
      [`/agents/${OTHER}/descriptor`]: agntcy({}),
    };
    const { url } = await serving(documents);
    const discovery = (await DIALECTS[0]![1].discover(url, { stop: new Stop() })) as Discovery;
    expect(discovery.agents).toMatchObject([{ endpoint: `${url}/agents/${AGENT}` }]);
    expect(discovery.skipped).toEqual([
      `agent ${OTHER}: another one here is called one; register ${url}/agents/${OTHER} with an agent_id of its own`,
    ]);
  });

  it('agents reads page after page, as many as it takes at most', async () => {
    const names = Array.from({ length: 1100 }, (_, i) => `a${i}`);
    const peer = await startAcpPeer(({ path }, response) => {
      const { pathname, searchParams } = new URL(path, 'http://x');
      const [from, most] = [Number(searchParams.get('offset')), Number(searchParams.get('limit'))];
      if (pathname === '/agents') return json(response, { agents: names.slice(from, from + most).map((name) => bee({ name })) });
      json(response, bee({ name: pathname.slice('/agents/'.length) }));
    });
    closing.push(() => peer.close());
    const discovery = (await beeai.discover(peer.url, { stop: new Stop() })) as Discovery;
    expect(discovery.agents).toHaveLength(1000);
    expect(discovery.skipped).toEqual(['no more than the first 1000 agents of the list are taken']);
  });

  it('agents ends with a server that knows no paging', async () => {
    const all = Array.from({ length: 100 }, (_, i) => bee({ name: `a${i}` }));
    const { url, asked } = await serving({
      '/agents': { agents: all },
      ...Object.fromEntries(all.map((one) => [`/agents/${one.name}`, one])),
    });
    const discovery = (await beeai.discover(url, { stop: new Stop() })) as Discovery;
    expect(discovery.agents).toHaveLength(100);
    expect(discovery.skipped).toEqual([]);
    expect(asked.filter(({ path }) => path.includes('offset'))).toHaveLength(2);
  });

  it('agents reads 32 MiB of documents, and leaves out the rest', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `a${i}`);
    const large = (name: string) => ({ ...bee({ name }), unread: 'x'.repeat(500_000) });
    const peer = await startAcpPeer(({ path }, response) => {
      const name = /^\/agents\/(\w+)$/.exec(path)?.[1];
      json(response, name ? large(name) : { agents: names.map((each) => bee({ name: each })) });
    });
    closing.push(() => peer.close());
    const { agents, skipped } = (await beeai.discover(peer.url, { stop: new Stop() })) as Discovery;
    expect(agents.length).toBeGreaterThanOrEqual(64);
    expect(agents.length).toBeLessThan(64 + 16); // those that were asked for already
    expect(skipped).toContain(`agent a99: the documents before it have more than ${32 * 1024 * 1024} bytes together`);
  });
});
