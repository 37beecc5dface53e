/** A test agent of the Agent Communication Protocol 0.2 (BeeAI): honest unless its parameters ask for a lie. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type AcpPeer, type Asked, asWished, held, json, RAW, startAcpPeer, think } from './acp-peer.js';

type Mode = 'sync' | 'async' | 'stream';
interface Run {
  agent_name: string;
  run_id: string;
  session_id: string;
  status: string;
  output: { role: string; parts: object[] }[];
  created_at: string;
  await_request?: object;
  error?: object;
}

export const MANIFESTS = [
  {
    name: 'math',
    description: 'Calculates',
    input_content_types: ['application/json', 'text/plain'],
    output_content_types: ['application/json'],
    metadata: {
      tags: ['numbers'],
      capabilities: [
        { name: 'add', description: 'Adds two numbers' },
        { name: 'Vector Sums', description: 'Adds vectors' },
      ],
      annotations: { schemas: { add: { input_schema: { type: 'object', required: ['do'] }, output_schema: { type: 'object' } } } },
    },
  },
  { name: 'greeter', description: 'Says hello', input_content_types: ['text/plain'], output_content_types: ['text/plain'] },
];

const FILES = [
  { content_type: 'image/png', content: Buffer.from('not really').toString('base64'), content_encoding: 'base64' },
  { content_type: 'application/pdf', content_url: 'https://files.example/report.pdf' },
  { name: 'notes.md', content_type: 'text/markdown', content: '# Notes' },
  { content_type: 'application/json', content: '{"pages":2}' },
  { content_type: 'text/plain', content: 'Two files' },
];

/** `answersAs`: a mode the server answers in whatever it was asked for. */
export function startBeeAi({ answersAs, port }: { answersAs?: Mode; port?: number } = {}): Promise<AcpPeer> {
  const runs = new Map<string, Run>();
  const keys = new Map<string, string>();

  function start({ body, headers }: Asked, response: ServerResponse, peer: AcpPeer) {
    held(peer, 'bee:create', body);
    const known = MANIFESTS.some(({ name }) => name === body.agent_name);
    if (!known) return refuse(peer, response, 404, { code: 'not_found', message: `Agent ${body.agent_name} not found` });
    const [part] = body.input[0].parts;
    const parameters = asWished(part.name, part.content_type === 'text/plain' ? { text: part.content } : JSON.parse(part.content));
    const raw = RAW[String(parameters['do'])];
    if (raw) return raw(response);
    const run: Run = {
      agent_name: body.agent_name,
      run_id: randomUUID(),
      session_id: body.session_id ?? randomUUID(),
      status: 'created',
      output: [],
      created_at: new Date().toISOString(),
    };
    runs.set(run.run_id, run);
    keys.set(run.run_id, String(headers['idempotency-key']));
    answer(run, parameters, { mode: answersAs ?? body.mode, response, peer });
  }

  function resume({ body, path }: Asked, response: ServerResponse, peer: AcpPeer) {
    held(peer, 'bee:resume', body);
    const run = runs.get(path.split('/')[2]!);
    if (run?.status !== 'awaiting') return refuse(peer, response, 403, { code: 'invalid_input', message: 'Run has no await request' });
    const [part] = body.await_resume.message.parts;
    delete run.await_request;
    const city = part.content_type === 'text/plain' ? part.content : JSON.parse(part.content).city;
    answer(run, { city }, { mode: answersAs ?? body.mode, response, peer });
  }

  return startAcpPeer((asked, response, peer) => {
    const { method, path } = asked;
    const id = path.split('/')[2] ?? '';
    if (path === '/ping') return json(response, {});
    if (/^\/agents(\?|$)/.test(path)) {
      const query = new URL(path, 'http://x').searchParams;
      const [from, most] = [Number(query.get('offset')), Number(query.get('limit') ?? 10)];
      const listing = { agents: MANIFESTS.slice(from, from + most) };
      held(peer, 'bee:list', listing);
      if (asked.headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
      return json(response, listing, 200, { etag: '"v1"' });
    }
    if (path.startsWith('/agents/')) {
      const manifest = MANIFESTS.find(({ name }) => name === id);
      if (!manifest) return refuse(peer, response, 404, { code: 'not_found', message: `Agent ${id} not found` });
      held(peer, 'bee:manifest', manifest);
      return json(response, manifest);
    }
    if (method === 'POST' && path === '/runs') return start(asked, response, peer);
    const run = runs.get(id);
    if (!run) return refuse(peer, response, 404, { code: 'not_found', message: `Run ${id} not found` });
    if (path.endsWith('/cancel')) {
      peer.cancelled.push(id);
      peer.unwanted.push(keys.get(id)!);
      run.status = 'cancelling';
      return json(response, run, 202);
    }
    if (path.endsWith('/events')) return json(response, { events: [] });
    if (method === 'POST') return resume(asked, response, peer);
    held(peer, 'bee:run', run);
    json(response, run);
  }, port);
}

function answer(run: Run, parameters: Record<string, unknown>, to: { mode: Mode; response: ServerResponse; peer: AcpPeer }) {
  const { mode, response, peer } = to;
  const lie = parameters['do'];
  const tell = (event: Record<string, unknown>) => {
    held(peer, 'bee:event', event);
    if (mode === 'stream') response.write(`data: ${JSON.stringify(event)}\n\n`);
  };
  const turn = (status: string) => {
    run.status = status;
    tell({ type: `run.${status}`, run });
  };
  const end = () => {
    if (mode === 'stream') response.end();
    if (mode === 'sync') json(response, run, 200, { 'run-id': run.run_id });
  };
  if (mode === 'stream') response.writeHead(200, { 'content-type': 'text/event-stream', 'run-id': run.run_id });
  if (lie === 'unnamed') return void response.end();
  if (run.status === 'created') tell({ type: 'run.created', run });
  turn('in-progress');
  if (mode === 'async') json(response, run, 202, { 'run-id': run.run_id });
  if (lie === 'dies half-way' || lie === 'ends half-way') {
    run.status = 'completed';
    run.output = [{ role: 'agent', parts: [{ content_type: 'text/plain', content: 'survived' }] }];
    return void (lie === 'ends half-way' ? response.end() : setTimeout(() => response.destroy(), 30));
  }
  if (lie === 'other run') return tell({ type: 'run.completed', run: { ...run, run_id: randomUUID(), status: 'completed' } });
  if (lie === 'other agent') return tell({ type: 'run.completed', run: { ...run, agent_name: 'somebody', status: 'completed' } });
  if (lie === 'error event') return tell({ type: 'error', error: { code: 'server_error', message: 'out of memory' } });
  const { data, words, error, question, afterMs } = think(parameters);
  const conclude = () => {
    const spoken = words?.map((content) => ({ content_type: 'text/plain', content })) ?? [];
    const structured = { content_type: 'application/json', content: JSON.stringify(data ?? null) };
    const parts = words && data === undefined ? spoken : [...spoken, structured];
    const said = lie === 'files' ? FILES : lie === 'broken part' ? [{ content_type: 'application/json', content: '{"a":' }] : parts;
    if (question !== undefined) {
      run.await_request = { type: 'message', message: { role: 'agent', parts: [{ content_type: 'text/plain', content: question }] } };
      turn('awaiting');
    } else if (error !== undefined) {
      run.error = { code: 'server_error', message: error };
      turn('failed');
    } else {
      for (const part of said) tell({ type: 'message.part', part });
      run.output = [{ role: `agent/${run.agent_name}`, parts: said }];
      turn('completed');
    }
    end();
  };
  setTimeout(conclude, afterMs ?? 0).unref();
}

function refuse(peer: AcpPeer, response: ServerResponse, status: number, error: object) {
  held(peer, 'bee:error', error);
  json(response, error, status);
}
