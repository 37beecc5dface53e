/** A greeter that speaks the Agent Communication Protocol 0.2 (BeeAI). It asks for a name where it gets none. Node alone: node agent.mjs */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const manifest = {
  name: 'greeter',
  description: 'Says hello to somebody by name',
  input_content_types: ['text/plain'],
  output_content_types: ['text/plain'],
  metadata: { tags: ['example'], natural_languages: ['en'] },
};
const runs = new Map();
const message = (text) => ({ role: 'agent/greeter', parts: [{ content_type: 'text/plain', content: text }] });

function greet(run, input) {
  const name = input.parts.map(({ content }) => content).join('');
  if (name.trim() === '')
    return { ...run, status: 'awaiting', await_request: { type: 'message', message: message('Whom shall I greet?') } };
  return { ...run, status: 'completed', output: [message(`Hello, ${name}!`)], finished_at: new Date().toISOString() };
}

/** The run as it was asked for: as a stream of events, or as JSON. It is over at once, so `async` differs by its status only. */
function send(response, { run, mode }) {
  runs.set(run.run_id, run);
  if (mode !== 'stream') return json(response, run, mode === 'async' ? 202 : 200);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'run-id': run.run_id });
  const tell = (event) => response.write(`data: ${JSON.stringify(event)}\n\n`);
  tell({ type: 'run.in-progress', run: { ...run, status: 'in-progress', output: [] } });
  for (const { parts } of run.output) for (const part of parts) tell({ type: 'message.part', part });
  tell({ type: `run.${run.status}`, run });
  response.end();
}

const json = (response, value, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
const missing = (response, what) => json(response, { code: 'not_found', message: `${what} not found` }, 404);

async function serve(request, response) {
  const { pathname } = new URL(request.url, 'http://localhost');
  const [, room, id, verb] = pathname.split('/');
  let text = '';
  for await (const chunk of request) text += chunk;
  const body = text === '' ? {} : JSON.parse(text);
  if (pathname === '/ping') return json(response, {});
  if (pathname === '/agents') return json(response, { agents: [manifest] });
  if (room === 'agents') return id === manifest.name ? json(response, manifest) : missing(response, `Agent ${id}`);
  if (pathname === '/runs' && request.method === 'POST') {
    if (body.agent_name !== manifest.name) return missing(response, `Agent ${body.agent_name}`);
    const run = { agent_name: manifest.name, run_id: randomUUID(), session_id: body.session_id ?? randomUUID(), output: [] };
    return send(response, { run: greet({ ...run, created_at: new Date().toISOString() }, body.input.at(-1)), mode: body.mode });
  }
  const run = room === 'runs' ? runs.get(id) : undefined;
  if (!run) return missing(response, pathname);
  if (request.method === 'GET' || verb === 'cancel') return json(response, run, verb === 'cancel' ? 202 : 200);
  if (run.status !== 'awaiting') return json(response, { code: 'invalid_input', message: `Run ${id} awaits nothing` }, 403);
  const { await_request: _asked, ...resumed } = run;
  send(response, { run: greet(resumed, body.await_resume.message), mode: body.mode });
}

const failed = (response, error) => json(response, { code: 'server_error', message: error.message }, 500);
const server = createServer((request, response) => void serve(request, response).catch((error) => failed(response, error)));
server.listen(process.env.PORT ?? 8010, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
