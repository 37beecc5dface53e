/** A greeter over plain HTTP: GET /capabilities, POST /execute. Node alone: node agent.mjs */
import { createServer } from 'node:http';

const greet = {
  name: 'greet',
  description: 'Says hello to somebody by name',
  input_schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
  output_schema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
};
const documents = {
  '/health': { status: 'healthy' },
  '/capabilities': {
    agent_id: 'http-greeter',
    agent_name: 'HTTP Greeter',
    description: 'Says hello',
    version: '1.0.0',
    capabilities: [greet],
  },
};

const json = (response, value, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

async function serve(request, response) {
  let text = '';
  for await (const chunk of request) text += chunk;
  const document = documents[request.url];
  if (document) return json(response, document);
  if (request.url !== '/execute') return json(response, { error: `nothing at ${request.url}` }, 404);
  const { capability, parameters } = JSON.parse(text); // and task_id, which is never that of two calls
  if (capability !== greet.name) return json(response, { success: false, error: `unknown capability "${capability}"` });
  json(response, { success: true, data: { message: `Hello, ${parameters.name}!` } });
}

const failed = (response, error) => json(response, { error: error.message }, 500);
const server = createServer((request, response) => void serve(request, response).catch((error) => failed(response, error)));
server.listen(process.env.PORT ?? 8000, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
