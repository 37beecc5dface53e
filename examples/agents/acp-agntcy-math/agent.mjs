/** A calculator that speaks the Agent Connect Protocol 0.2 (AGNTCY), stateless runs. Node alone: node agent.mjs */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const agent_id = 'b1f9c3b4-6d0a-4c0e-9d5e-6f8f0a2c7d11';
const metadata = { ref: { name: 'example.math', version: '1.0.0' }, description: 'Adds, subtracts, multiplies and divides two numbers' };
const operations = { add: (a, b) => a + b, subtract: (a, b) => a - b, multiply: (a, b) => a * b, divide: (a, b) => a / b };
const number = { type: 'number' };
const descriptor = {
  metadata,
  specs: {
    capabilities: { threads: false, interrupts: false, callbacks: false, streaming: { values: true } },
    input: {
      type: 'object',
      properties: { operation: { enum: Object.keys(operations) }, a: number, b: number },
      required: ['operation', 'a', 'b'],
    },
    output: { type: 'object', properties: { result: number }, required: ['result'] },
    config: { type: 'object' },
  },
};

const json = (response, value, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

function calculate({ operation, a, b }, run_id) {
  const result = operations[operation](a, b);
  if (Number.isFinite(result)) return { type: 'result', values: { result } };
  return { type: 'error', run_id, errcode: 1, description: `${a} ${operation} ${b} has no finite result` };
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = text === '' ? {} : JSON.parse(text);
  if (pathname === '/agents/search') return json(response, (body.offset ?? 0) > 0 ? [] : [{ agent_id, metadata }]);
  if (pathname === `/agents/${agent_id}`) return json(response, { agent_id, metadata });
  if (pathname === `/agents/${agent_id}/descriptor`) return json(response, descriptor);
  if (pathname !== '/runs/wait' && pathname !== '/runs/stream') return json(response, `nothing at ${pathname}`, 404);
  if (body.agent_id !== undefined && body.agent_id !== agent_id) return json(response, `no agent ${body.agent_id}`, 404);
  if (!operations[body.input?.operation]) return json(response, `operation is one of ${Object.keys(operations).join(', ')}`, 422);
  const run_id = randomUUID();
  const output = calculate(body.input, run_id);
  const status = output.type === 'result' ? 'success' : 'error';
  const now = new Date().toISOString();
  if (pathname === '/runs/wait')
    return json(response, { run: { run_id, agent_id, created_at: now, updated_at: now, status, creation: body }, output });
  const update = output.type === 'result' ? { type: 'values', run_id, status, values: output.values } : { ...output, status };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(`id: 1\nevent: agent_event\ndata: ${JSON.stringify(update)}\n\n`);
}

const failed = (response, error) => json(response, error.message, 500);
const server = createServer((request, response) => void serve(request, response).catch((error) => failed(response, error)));
server.listen(process.env.PORT ?? 8011, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
