/** Any number of agents under one origin, each with a document of its own, and the list of their addresses. */
import { createServer } from 'node:http';

const { protocol, agents } = JSON.parse(process.argv[2]);

const schema = { type: 'object', properties: { text: { type: 'string' }, count: { type: 'integer', minimum: 0 } }, required: ['text'] };
const names = ['summarise', 'translate', 'classify'];
const http = (n) => ({
  agent_id: `agent-${n}`,
  agent_name: `Agent ${n}`,
  description: 'Works on texts',
  version: '1.0.0',
  capabilities: names.map((name) => ({ name: `${name}-${n}`, description: name, input_schema: schema, output_schema: schema })),
});
const a2a = (n, origin) => ({
  name: `agent-${n}`,
  description: 'Works on texts',
  version: '1.0.0',
  capabilities: {},
  defaultInputModes: ['application/json'],
  defaultOutputModes: ['application/json'],
  skills: names.map((name) => ({ id: `${name}-${n}`, name, description: name, tags: ['text'], inputSchema: schema, outputSchema: schema })),
  supportedInterfaces: [{ url: `${origin}/${n}/a2a`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
});
const [place, documentOf] = protocol === 'a2a' ? ['/.well-known/agent-card.json', a2a] : ['/capabilities', http];

const server = createServer((request, response) => {
  const { port } = server.address();
  const origin = `http://127.0.0.1:${port}`;
  const answer = (value) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  if (request.url === '/list') return answer(Array.from({ length: agents }, (_, n) => `${origin}/${n}`));
  const [, n, path] = /^\/(\d+)(\/.*)$/.exec(request.url) ?? [];
  if (path !== place) return response.writeHead(404).end();
  answer(documentOf(Number(n), origin));
});
server.listen(0, '127.0.0.1', () => {
  const origin = `http://127.0.0.1:${server.address().port}`;
  process.send({ origin, list: `${origin}/list`, documents: Array.from({ length: agents }, (_, n) => `/${n}${place}`) });
});
