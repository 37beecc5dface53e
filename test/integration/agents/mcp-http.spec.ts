import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Stop } from '../../../src/agents/agent-client.js';
import type { Discovery } from '../../../src/agents/agent-protocol.js';
import { McpProtocol } from '../../../src/integration/agents/mcp/mcp-protocol.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { type McpPeer, mcpClient, startMcp, task } from '../../support/mcp.js';
import { until } from '../../support/until.js';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const options = () => ({ stop: new Stop(), trace: null });
const add = (client: McpPeer['client']) => client.call(task('add', { a: 1, b: 1 }), options());
const asked = (peer: McpPeer, mcp: string) => peer.heard().filter((what) => what.mcp === mcp).length;

async function started(kind: Parameters<typeof startMcp>[0]): Promise<McpPeer> {
  const peer = await startMcp(kind);
  closing.push(() => peer.close());
  return peer;
}

describe('a connection to an MCP server', () => {
  it('is opened by the first call, and the era is asked for once', async () => {
    const peer = await started('v2-http');
    expect(peer.heard()).toEqual([{ port: expect.any(Number) }]);
    await Promise.all([add(peer.client), add(peer.client)]);
    expect([asked(peer, 'server/discover'), asked(peer, 'tools/call')]).toEqual([1, 2]);
  });

  it.each(['v2-sessions', 'v1-sessions'] as const)(
    'whose session the server has forgotten fails one call, which did nothing, and is opened anew by the next (%s)',
    async (kind) => {
      const peer = await started(kind);
      expect(await add(peer.client)).toMatchObject({ success: true });
      await peer.restart();
      const before = peer.heard().length;
      // A kept-alive socket may notice the restart first; either way nothing is sent twice.
      let answer = await add(peer.client);
      if (!answer.success && !answer.message.includes('404')) answer = await add(peer.client);
      expect(answer).toMatchObject({
        success: false,
        code: 'agent_unreachable',
        message: expect.stringMatching(/HTTP 404.*it did not act/),
      });
      expect(peer.heard().filter((what) => what.called)).toHaveLength(1);
      expect(await add(peer.client)).toMatchObject({ success: true });
      const since = peer.heard().slice(before);
      expect(since.filter((what) => what.called)).toHaveLength(1);
      expect(since.filter((what) => what.mcp)).toEqual([]); // its era is known
    },
  );

  it('is healthy again with the server, though its session is gone', async () => {
    const peer = await started('v1-sessions');
    expect(await peer.client.health()).toEqual({ status: 'healthy', error: null });
    await peer.restart();
    await until('it is healthy', async () => (await peer.client.health()).status === 'healthy');
  });

  it('is given up at once when it is closed while it is opened', async () => {
    const { client, close } = mcpClient(await serving(() => undefined));
    const answer = add(client);
    const from = performance.now();
    setTimeout(() => void close(), 100);
    expect(await answer).toMatchObject({ success: false, code: 'agent_unreachable' });
    expect(performance.now() - from).toBeLessThan(5000); // without it, ten seconds
  });

  it('to a server that has become one of the older era asks for the era again', async () => {
    const discovered = {
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      ttlMs: 0,
      cacheScope: 'private',
    };
    const manners: Record<string, Manner> = {
      'server/discover': (response, { id }) => answers(response, id, discovered),
      'tools/call': (response) => void response.writeHead(400).end('no such version'),
    };
    const { client, close } = mcpClient(await legacy(manners));
    closing.push(close);
    expect(await add(client)).toMatchObject({ success: false, message: expect.stringContaining('HTTP 400') });
    delete manners['server/discover'];
    manners['tools/call'] = (response, { id }) => answers(response, id, { content: [] });
    expect(await add(client)).toMatchObject({ success: true });
  });

  it('gives its session back', async () => {
    const peer = await startMcp('v1-sessions');
    const { client, close } = mcpClient(peer.url!);
    await add(client);
    await close();
    expect(peer.heard().filter((what) => what.ended)).toHaveLength(1);
    await peer.close();
  });
});

describe('discovery of MCP servers', () => {
  const outgoing = new Outgoing(['loopback']);
  const protocol = new McpProtocol(outgoing);
  afterAll(() => outgoing.close());
  const discover = (url: string, etag?: string) => protocol.discover(url, { stop: new Stop(), ...(etag && { etag }) });

  it.each(['v2-http', 'v1-sessions'] as const)(
    'finds one at its address and at /mcp under it, and keeps all it says (%s)',
    async (kind) => {
      const { url } = await started(kind);
      const found = (await discover(url!)) as Discovery;
      expect(await discover(url!.replace(/\/mcp$/, '/'))).toEqual(found);
      expect(await discover(url!, found.etag)).toBe('unchanged');
      const [agent] = found.agents;
      expect(agent).toMatchObject({
        endpoint: url,
        description: { agent_id: 'peer-of-tests', name: 'A peer', version: '3.2.1', description: 'Ask it anything.' },
        document: { media_type: 'application/json' },
      });
      const capability = agent!.description.capabilities.find(({ name }) => name === 'add')!;
      const tool = JSON.parse(agent!.document.bytes.toString()).tools.find(({ name }: { name: string }) => name === 'add');
      expect(tool).toMatchObject({ title: 'Addition', annotations: { readOnlyHint: true } });
      expect(capability).toEqual({
        name: 'add',
        description: 'Adds two numbers',
        input_schema: tool.inputSchema,
        output_schema: tool.outputSchema,
      });
      expect(capability.input_schema).toMatchObject({ properties: { b: { 'x-unknown': { kept: true } } }, additionalProperties: false });
      const client = protocol.connect({ endpoint: url!, description: agent!.description as never });
      expect(await add(client)).toMatchObject({ data: { sum: 2 } });
      await client.close();
    },
  );

  it('sends parameters as headers where the tool asks for it', async () => {
    const { url } = await started('v2-http');
    const { agents } = (await discover(url!)) as Discovery;
    const client = protocol.connect({ endpoint: url!, description: agents[0]!.description as never });
    const answer = await client.call(task('routed', { region: 'Zürich', size: { count: 3 } }), options());
    expect(answer.data).toMatchObject({ headers: { 'mcp-param-region': '=?base64?WsO8cmljaA==?=', 'mcp-param-count': '3' } });
    await client.close();
  });

  it('finds nobody where no MCP is spoken', async () => {
    const url = await serving((_request, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end('<p>not here'));
    expect(await discover(url)).toBeNull();
    const json = await serving((_request, response) => says(response, { hello: 'world' }));
    expect(await discover(json)).toBeNull();
    const elsewhere = await serving((_request, response) => void response.writeHead(302, { location: url }).end());
    expect(await discover(elsewhere)).toBeNull();
  });

  it('says that nobody answers', async () => {
    const url = await serving(() => undefined);
    await closing.pop()!();
    await expect(discover(url)).rejects.toMatchObject({ code: 'agent_unreachable', message: expect.stringContaining('ECONNREFUSED') });
  });

  it('does not ask where no agent may be', async () => {
    await expect(discover('http://169.254.169.254/mcp')).rejects.toMatchObject({ code: 'address_refused' });
  });

  it('settles soon after it is stopped', async () => {
    const url = await serving(() => undefined);
    const stop = new Stop();
    const found = protocol.discover(url, { stop });
    setTimeout(() => stop.stop(new Error('enough')), 100);
    await expect(found).rejects.toMatchObject({ code: 'agent_unreachable', message: 'enough' });
  });

  const listing = async (pages: (cursor?: string) => object) => {
    const url = await legacy({ 'tools/list': (response, { id, params }) => answers(response, id, pages(params?.cursor)) });
    return discover(url);
  };
  const named = (count: number, prefix = 't') => Array.from({ length: count }, (_, i) => ({ name: `${prefix}${i}`, inputSchema: {} }));

  it('reads all pages, up to 500 tools', async () => {
    const found = await listing((cursor) => ({
      tools: named(100, `p${cursor ?? 0}_`),
      ...(Number(cursor ?? 0) < 4 && { nextCursor: `${Number(cursor ?? 0) + 1}` }),
    }));
    expect((found as Discovery).agents[0]!.description.capabilities).toHaveLength(500);
  });

  it.each<[string, (cursor?: string) => object, RegExp]>([
    ['more than 500 tools', () => ({ tools: named(501) }), /more than 500 tools/],
    ['pages without end', () => ({ tools: [], nextCursor: 'again' }), /more than 100 pages/],
    ['no tools', () => ({ tools: [] }), /has no tools/],
    ['tools only of names that cannot be capabilities', () => ({ tools: [{ name: 'ä b' }] }), /only "ä b"/],
    ['two tools of one name', () => ({ tools: [{ name: 'a' }, { name: 'a' }] }), /two tools called "a"/],
    ['more than a megabyte of tools', () => ({ tools: [{ name: 'a', description: 'x'.repeat(2 ** 20) }] }), /at most 1048576/],
    ['a list that is none', () => ({ tools: 7 }), /tools\/list: .*tools/],
  ])('says why a server cannot be used: %s', async (_what, pages, why) => {
    await expect(listing(pages)).rejects.toMatchObject({ code: 'agent_not_understood', message: expect.stringMatching(why) });
  });

  it('leaves out what cannot be a capability and drops schemas nobody could be held to, and says so', async () => {
    const far = { $ref: 'http://127.0.0.1:9/schema.json' };
    const found = await listing(() => ({
      tools: [{ name: 'ok', description: 'Fine', inputSchema: far, outputSchema: {} }, { name: '_odd name' }],
    }));
    const [agent] = (found as Discovery).agents;
    expect(agent!.description.description).toMatch(/left out for their names: "_odd name"/);
    expect(agent!.description.capabilities).toEqual([
      {
        name: 'ok',
        description: expect.stringMatching(/^Fine \[its input schema is not used: .*nothing is ever fetched/),
        output_schema: {},
      },
    ]);
    expect(JSON.parse(agent!.document.bytes.toString()).tools).toHaveLength(2);
  });
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serving(handler: Handler): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Message {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { cursor?: string; requestId?: number };
}
type Manner = (response: ServerResponse, message: Message) => void;

const says = (response: ServerResponse, body: unknown, type = 'application/json') =>
  void response.writeHead(200, { 'content-type': type }).end(typeof body === 'string' ? body : JSON.stringify(body));
const answers = (response: ServerResponse, id: unknown, result: object) => says(response, { jsonrpc: '2.0', id, result });

/** A server of 2025-11-25 by hand, that behaves as told. */
function legacy(manners: Record<string, Manner>, heard: Message[] = []): Promise<string> {
  const info = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1' } };
  return serving((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method !== 'POST') return void response.writeHead(405).end();
      const message = JSON.parse(Buffer.concat(chunks).toString()) as Message;
      heard.push(message);
      const manner = manners[message.method];
      if (manner) return manner(response, message);
      if (message.method === 'initialize') return answers(response, message.id, info);
      if (message.id === undefined) return void response.writeHead(202).end();
      response.writeHead(404).end();
    });
  });
}

describe('a badly behaved MCP server', () => {
  const event = (message: object) => `event: message\ndata: ${JSON.stringify(message)}\n\n`;
  const stream = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });
  const result = { content: [{ type: 'text', text: 'ok' }] };

  it.each<[string, Manner, string, RegExp]>([
    ['answers garbage', (response) => says(response, '{"jsonrpc"'), 'agent_invalid_response', /./],
    ['answers no JSON at all', (response) => says(response, '<p>hello', 'text/html'), 'agent_invalid_response', /content type: text\/html/],
    [
      'names a member twice',
      (response, { id }) => says(response, `{"jsonrpc":"2.0","id":${id},"result":{"content":[],"content":[]}}`),
      'agent_invalid_response',
      /"content" stands twice/,
    ],
    [
      'says a number nobody can hold, in an event',
      (response, { id }) =>
        void stream(response).end(`data: {"jsonrpc":"2.0","id":${id},"result":{"structuredContent":{"n":12345678901234567890}}}\n\n`),
      'agent_invalid_response',
      /./,
    ],
    [
      'answers another message',
      (response) => answers(response, 4711, result),
      'agent_invalid_response',
      /answered message 4711, asked was \d/,
    ],
    [
      'answers nothing',
      (response) => void response.writeHead(202).end(),
      'agent_unreachable',
      /answered nothing; whether it acted is unknown/,
    ],
    [
      'ends its stream early',
      (response) =>
        void stream(response).end(event({ jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 1 } })),
      'agent_unreachable',
      /the stream ended without an answer/,
    ],
    [
      'dies in the middle of its stream',
      (response) => void stream(response).write(event({ jsonrpc: '2.0', method: 'x' }), () => response.destroy()),
      'agent_unreachable',
      /the stream ended without an answer: terminated|the stream ended without an answer/,
    ],
    ['streams without end', (response) => flood(stream(response)), 'agent_response_too_large', /4194304/],
    ['answers 500', (response) => void response.writeHead(500).end('oh no'), 'agent_failed', /HTTP 500: oh no/],
    ['answers 401', (response) => void response.writeHead(401).end(), 'auth_required', /HTTP 401/],
    ['answers 400', (response) => void response.writeHead(400).end(), 'agent_invalid_response', /HTTP 400/],
    [
      'redirects',
      (response) => void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
      'agent_unreachable',
      /redirects to/,
    ],
    ['hangs up', (response) => void response.destroy(), 'agent_unreachable', /no answer from the server/],
    ['answers no result of a tool', (response, { id }) => answers(response, id, { content: 7 }), 'agent_invalid_response', /content/],
    [
      'answers an empty result',
      (response, { id }) => answers(response, id, {}),
      'agent_invalid_response',
      /neither content nor structuredContent/,
    ],
    [
      'sends an image that is none',
      (response, { id }) => answers(response, id, { content: [{ type: 'image', data: '%%%', mimeType: 'image/png' }] }),
      'agent_invalid_response',
      /content\.0\.data/,
    ],
  ])('that %s fails the call, with the reason', async (_what, manner, code, message) => {
    const { client, close } = mcpClient(await legacy({ 'tools/call': manner }));
    closing.push(close);
    expect(await add(client)).toMatchObject({ success: false, code, message: expect.stringMatching(message) });
  });

  it('that cannot be read is kept byte for byte', async () => {
    const { client, close } = mcpClient(await legacy({ 'tools/call': (response) => says(response, '{"jsonrpc"') }));
    closing.push(close);
    expect(await add(client)).toMatchObject({ raw: { encoding: 'utf-8', data: '{"jsonrpc"' } });
  });

  it('that hangs is hung up on soon after the call is stopped, and told', async () => {
    const heard: Message[] = [];
    const hungUp: string[] = [];
    const manner: Manner = (response) => response.on('close', () => hungUp.push('the call'));
    const { client, close } = mcpClient(await legacy({ 'tools/call': manner, 'notifications/cancelled': () => undefined }, heard));
    closing.push(close);
    const stop = new Stop();
    const answer = client.call(task('add'), { stop, trace: null });
    await until('it is asked', () => heard.some(({ method }) => method === 'tools/call'));
    const from = performance.now();
    stop.stop(new Error('enough'));
    expect((await answer).success).toBe(false);
    expect(performance.now() - from).toBeLessThan(900); // the server has a second to take note
    await until('the server is told', () => heard.some(({ method }) => method === 'notifications/cancelled'));
    const call = heard.find(({ method }) => method === 'tools/call');
    expect(heard.at(-1)!.params!.requestId).toBe(call!.id);
    await until('it is hung up on', () => hungUp.length > 0); // though it never answers the notification either
  });

  it('that breaks its stream off is asked for the rest of it, and not for the call again', async () => {
    const heard: Message[] = [];
    let asked: string | undefined;
    let id: unknown;
    const url = await legacy(
      {
        'tools/call': (response, message) => {
          id = message.id;
          stream(response).write(`id: 1\nretry: 10\ndata: \n\n`, () => response.end());
        },
      },
      heard,
    );
    const resumed = await serving((request, response) => {
      if (request.method !== 'GET') return void forward(url, request, response);
      asked = request.headers['last-event-id'] as string;
      stream(response).end(`id: 2\n${event({ jsonrpc: '2.0', id, result })}`);
    });
    const { client, close } = mcpClient(resumed);
    closing.push(close);
    expect(await add(client)).toMatchObject({ success: true, text: 'ok' });
    expect(asked).toBe('1');
    expect(heard.filter(({ method }) => method === 'tools/call')).toHaveLength(1);
  });

  it('that wants to ask back fails the call with what it asks', async () => {
    const discovered = {
      resultType: 'complete',
      supportedVersions: ['2026-07-28'],
      capabilities: { tools: {} },
      ttlMs: 0,
      cacheScope: 'private',
    };
    const asking = {
      resultType: 'input_required',
      inputRequests: {
        a: { method: 'elicitation/create', params: { message: 'Which city?', requestedSchema: { type: 'object', properties: {} } } },
      },
    };
    const url = await legacy({
      'server/discover': (response, { id }) => answers(response, id, discovered),
      'tools/call': (response, { id }) => answers(response, id, asking),
    });
    const { client, close } = mcpClient(url);
    closing.push(close);
    expect(await add(client)).toMatchObject({ success: false, code: 'input_required', message: 'Which city?' });
  });

  it('that never answers is unhealthy after five seconds', async () => {
    const { client, close } = mcpClient(await legacy({ ping: () => undefined }));
    closing.push(close);
    const from = performance.now();
    expect(await client.health()).toEqual({ status: 'unhealthy', error: expect.stringContaining('no answer within 5 s') });
    expect(performance.now() - from).toBeLessThan(5500);
  });

  it('that is gone is unhealthy', async () => {
    const url = await legacy({});
    await closing.pop()!();
    const { client, close } = mcpClient(url);
    closing.push(close);
    expect(await client.health()).toEqual({ status: 'unhealthy', error: expect.stringContaining('ECONNREFUSED') });
    expect(await add(client)).toMatchObject({
      success: false,
      code: 'agent_unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

function flood(response: ServerResponse): void {
  const more = () => {
    while (response.writable && response.write(`data: {"jsonrpc":"2.0","method":"x","params":{"x":"${'x'.repeat(10_000)}"}}\n\n`));
    if (response.writable) response.once('drain', more);
  };
  more();
}

function forward(url: string, request: IncomingMessage, response: ServerResponse): void {
  void (async () => {
    const body = Buffer.concat(await request.toArray());
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(await answer.text());
  })();
}
