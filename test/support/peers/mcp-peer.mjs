// An MCP server built with the real SDKs, in a process of its own: node mcp-peer.mjs <kind> [port].
// What happens to it is written to the file PEER_LOG, one JSON text a line.
import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [kind, port = '0'] = process.argv.slice(2);
const log = (what) => process.env.PEER_LOG && appendFileSync(process.env.PEER_LOG, `${JSON.stringify(what)}\n`);

/** The response to the latest request over HTTP. */
let latest;

const object = { type: 'object' };
const tools = [
  {
    name: 'add',
    title: 'Addition',
    description: 'Adds two numbers',
    inputSchema: {
      type: 'object',
      properties: { a: { type: 'number' }, b: { type: 'number', 'x-unknown': { kept: true } } },
      required: ['a', 'b'],
      additionalProperties: false,
    },
    outputSchema: { type: 'object', properties: { sum: { type: 'number' } }, required: ['sum'] },
    annotations: { readOnlyHint: true },
  },
  {
    name: 'routed',
    inputSchema: {
      type: 'object',
      properties: {
        region: { type: 'string', 'x-mcp-header': 'Region' },
        size: { type: 'object', properties: { count: { type: 'integer', 'x-mcp-header': 'Count' } } },
      },
    },
  },
  ...[
    'echo',
    'words',
    'two_words',
    'json_text',
    'slow',
    'hang',
    'fail',
    'half',
    'huge',
    'steps',
    'gallery',
    'throws',
    'seen',
    'die',
    'deep',
    'nothing',
  ].map((name) => ({ name, inputSchema: object })),
];

async function act(name, { arguments: given = {}, _meta }, { signal, notify, headers }) {
  log({ called: name, task: _meta?.['agent-orchestrator/task_id'] });
  const text = (words, more) => ({ content: [{ type: 'text', text: words }], ...more });
  switch (name) {
    case 'add':
      return text(JSON.stringify({ sum: given.a + given.b }), { structuredContent: { sum: given.a + given.b } });
    case 'echo':
      return text('', { structuredContent: given });
    case 'words':
      return text('Error: out of cheese');
    case 'two_words':
      return { content: [...text('first').content, ...text('second').content] };
    case 'json_text':
      return text('{"looks":"like data"}');
    case 'slow':
      await sleep(500);
      return text('', { structuredContent: { slow: true } });
    case 'hang':
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      log({ cancelled: _meta?.['agent-orchestrator/task_id'] });
      return text('too late');
    case 'fail':
      return text('no such planet', { isError: true, structuredContent: { planet: 'Vulcan' } });
    case 'half':
      latest.destroy();
      return text('nobody hears this');
    case 'huge':
      return text('x'.repeat(5 * 1024 * 1024));
    case 'steps':
      for (const progress of [1, 2])
        await notify({
          method: 'notifications/progress',
          params: { progressToken: _meta.progressToken, progress, total: 2, message: `step ${progress}` },
        });
      return text('done');
    case 'gallery': {
      const data = Buffer.from('seen').toString('base64');
      return {
        content: [
          { type: 'image', data, mimeType: 'image/png', annotations: { priority: 1 } },
          { type: 'audio', data, mimeType: 'audio/wav' },
          { type: 'resource', resource: { uri: 'file:///a.bin', mimeType: 'application/x', blob: data } },
          { type: 'resource', resource: { uri: 'file:///a.txt', text: 'read' } },
          { type: 'resource_link', uri: 'https://example.com/b', name: 'b', mimeType: 'text/html', size: 7 },
        ],
      };
    }
    case 'throws':
      throw new Error('the handler threw');
    case 'seen':
    case 'routed':
      return text('', {
        structuredContent: { meta: _meta, environment: Object.keys(process.env), pid: process.pid, headers: headers ?? null },
      });
    case 'die':
      return process.exit(7);
    case 'deep': {
      let value = 1;
      for (let i = 0; i < 100; i++) value = { value };
      return text('', { structuredContent: value });
    }
    case 'nothing':
      return { content: [] };
    default:
      throw new (await unknownTool())(-32602, `Unknown tool: ${name}`);
  }
}

const unknownTool = async () =>
  kind.startsWith('v1')
    ? (await import('@modelcontextprotocol/sdk/types.js')).McpError
    : (await import('@modelcontextprotocol/server')).ProtocolError;

const info = { name: 'Peer of Tests', title: 'A peer', version: '3.2.1' };
const options = { capabilities: { tools: {} }, instructions: 'Ask it anything.' };

async function v2Server() {
  const { Server } = await import('@modelcontextprotocol/server');
  const server = new Server(info, options);
  server.setRequestHandler('tools/list', () => ({ tools }));
  server.setRequestHandler('tools/call', ({ params }, ctx) => {
    const { signal, notify, _meta } = ctx.mcpReq;
    const headers = ctx.http?.req && Object.fromEntries(ctx.http.req.headers);
    return act(params.name, { ...params, _meta: _meta ?? params._meta }, { signal, notify, headers });
  });
  return server;
}

async function v1Server() {
  const { Server } = await import('@modelcontextprotocol/sdk/server/index.js');
  const { CallToolRequestSchema, ListToolsRequestSchema } = await import('@modelcontextprotocol/sdk/types.js');
  const server = new Server(info, options);
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }, extra) =>
    act(params.name, params, { signal: extra.signal, notify: extra.sendNotification, headers: extra.requestInfo?.headers }),
  );
  return server;
}

/** 2025-11-25: a transport per session, 404 for a session nobody knows. */
async function sessions(Transport, makeServer) {
  const open = new Map();
  return async (request, response) => {
    const id = request.headers['mcp-session-id'];
    if (request.method === 'DELETE') log({ ended: id });
    if (id !== undefined && !open.has(id))
      return response
        .writeHead(404)
        .end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32001, message: 'Session not found' } }));
    let transport = open.get(id);
    if (!transport) {
      transport = new Transport({ sessionIdGenerator: randomUUID, onsessioninitialized: (made) => open.set(made, transport) });
      await (await makeServer()).connect(transport);
    }
    await transport.handleRequest(request, response);
  };
}

async function http() {
  if (kind === 'v2-http') {
    const { createMcpHandler } = await import('@modelcontextprotocol/server');
    const { toNodeHandler } = await import('@modelcontextprotocol/node');
    const server = await v2Server(); // loaded before the first request
    await server.close();
    return toNodeHandler(createMcpHandler(v2Server, { legacy: 'reject' }));
  }
  if (kind === 'v2-sessions') return sessions((await import('@modelcontextprotocol/node')).NodeStreamableHTTPServerTransport, v2Server);
  return sessions((await import('@modelcontextprotocol/sdk/server/streamableHttp.js')).StreamableHTTPServerTransport, v1Server);
}

if (kind.endsWith('stdio')) {
  log({ started: process.pid });
  console.error('the peer says hello');
  if (kind === 'v1-stdio') {
    const { StdioServerTransport } = await import('@modelcontextprotocol/sdk/server/stdio.js');
    await (await v1Server()).connect(new StdioServerTransport());
  } else {
    const { serveStdio } = await import('@modelcontextprotocol/server/stdio');
    serveStdio(v2Server);
  }
} else {
  const handle = await http();
  const server = createServer((request, response) => {
    latest = response;
    log({ method: request.method, path: request.url, mcp: request.headers['mcp-method'], session: request.headers['mcp-session-id'] });
    if (request.url !== '/mcp') return response.writeHead(404).end();
    handle(request, response).catch((error) => response.destroy(error));
  });
  server.listen(Number(port), '127.0.0.1', () => log({ port: server.address().port }));
  process.on('disconnect', () => process.exit());
}
