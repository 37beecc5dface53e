/** A greeter that speaks the plain dialect, POST /invoke. Node alone: node agent.mjs */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const GREETINGS = { en: 'Hello', es: 'Hola', fr: 'Bonjour', de: 'Hallo', it: 'Ciao' };
const input_schema = {
  type: 'object',
  properties: { name: { type: 'string' }, language: { enum: Object.keys(GREETINGS) } },
  required: ['name'],
};
const output_schema = { type: 'object', properties: { greeting: { type: 'string' } }, required: ['greeting'] };
const agent = { agent_id: 'invoke-greeter', agent_name: 'Invoke Greeter', description: 'Greets in five languages', version: '1.0.0' };
const documents = {
  '/health': () => ({ status: 'healthy', timestamp: Date.now() / 1000 }),
  '/agent-info': () => agent,
  '/schema': () => ({ input: input_schema, output: output_schema, config: { type: 'object' } }),
  '/capabilities': () => ({
    ...agent,
    capabilities: [{ name: 'generate_greeting', description: 'A greeting by name', input_schema, output_schema }],
  }),
};

const json = (response, value, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

async function serve(request, response) {
  let text = '';
  for await (const chunk of request) text += chunk;
  const document = documents[request.url];
  if (document) return json(response, document());
  if (request.url !== '/invoke') return json(response, { error: `nothing at ${request.url}`, code: '404' }, 404);
  const { input, stream } = JSON.parse(text);
  if (typeof input?.name !== 'string') return json(response, { error: 'input.name is missing', code: '422' }, 422);
  const output = { greeting: `${GREETINGS[input.language ?? 'en']}, ${input.name}!` };
  const result = { id: randomUUID(), output, status: 'completed', metadata: { agent_name: agent.agent_name } };
  if (!stream) return json(response, result);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of [{ status: 'started' }, { status: 'completed', result }]) response.write(`data: ${JSON.stringify(event)}\n\n`);
  response.end('data: [DONE]\n\n');
}

const failed = (response, error) => json(response, { error: error.message, code: '500' }, 500);
const server = createServer((request, response) => void serve(request, response).catch((error) => failed(response, error)));
server.listen(process.env.PORT ?? 8012, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
