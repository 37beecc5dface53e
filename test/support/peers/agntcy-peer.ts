/** A test agent of the Agent Connect Protocol 0.2.3 (AGNTCY): honest unless its parameters ask for a lie. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type AcpPeer, type Asked, asWished, held, json, RAW, startAcpPeer, think } from './acp-peer.js';

export const AGENT = '3f8a1c52-8a52-4d2c-9a3c-0d5a8f6f1b11';
const ref = { name: 'org.example.math', version: '2.1.0', url: 'http://localhost:1/not-believed' };
const metadata = { ref, description: 'Calculates' };
export const DESCRIPTOR = {
  metadata,
  specs: {
    capabilities: { threads: false, interrupts: true, callbacks: false, streaming: { values: true, custom: false } },
    input: { type: 'object', required: ['do'] },
    output: { type: ['object', 'string'] },
    config: { type: 'object' },
    interrupts: [{ interrupt_type: 'question', interrupt_payload: { type: 'object' }, resume_payload: { type: 'object' } }],
  },
};

interface Run {
  run_id: string;
  agent_id: string;
  created_at: string;
  updated_at: string;
  status: string;
  creation: object;
}

export function startAgntcy(port?: number): Promise<AcpPeer> {
  const runs = new Map<string, { run: Run; parameters: Record<string, unknown> }>();

  function start({ body, path }: Asked, response: ServerResponse, peer: AcpPeer) {
    held(peer, 'agntcy:create', body);
    if (body.agent_id !== undefined && body.agent_id !== AGENT) return refuse(peer, response, 404, `no agent ${body.agent_id}`);
    const parameters = asWished(body.metadata?.capability, body.input);
    const raw = RAW[String(parameters['do'])];
    if (raw) return raw(response);
    const now = new Date().toISOString();
    const run = { run_id: randomUUID(), agent_id: AGENT, created_at: now, updated_at: now, status: 'pending', creation: body };
    runs.set(run.run_id, { run, parameters });
    (path === '/runs/stream' ? stream : wait)(run, parameters, { response, peer });
  }

  return startAcpPeer((asked, response, peer) => {
    const { method, path, body } = asked;
    if (path === '/agents/search') {
      held(peer, 'agntcy:search', body);
      const found = body.offset > 0 ? [] : [{ agent_id: AGENT, metadata }];
      held(peer, 'agntcy:agents', found);
      return json(response, found);
    }
    if (path === `/agents/${AGENT}`) return json(response, { agent_id: AGENT, metadata });
    if (path === `/agents/${AGENT}/descriptor`) {
      held(peer, 'agntcy:descriptor', DESCRIPTOR);
      return json(response, DESCRIPTOR);
    }
    if (path === '/runs/wait' || path === '/runs/stream') return start(asked, response, peer);
    const known = runs.get(path.split('/')[2] ?? '');
    if (!known) return refuse(peer, response, 404, `nothing at ${path}`);
    const { run } = known;
    if (path.endsWith('/cancel')) {
      peer.cancelled.push(run.run_id);
      return void response.writeHead(204).end();
    }
    if (path.endsWith('/wait')) return wait(run, known.parameters, { response, peer });
    if (method !== 'POST' || run.status !== 'interrupted') return refuse(peer, response, 409, 'the run is not interrupted');
    held(peer, 'agntcy:resume', body);
    run.status = 'pending';
    known.parameters = body;
    held(peer, 'agntcy:run', run);
    json(response, run);
  }, port);
}

function wait(run: Run, parameters: Record<string, unknown>, { response, peer }: { response: ServerResponse; peer: AcpPeer }) {
  const { data, words, error, question, afterMs } = think(parameters);
  const conclude = () => {
    run.status = error !== undefined ? 'error' : question !== undefined ? 'interrupted' : 'success';
    const { run_id } = run;
    const output =
      error !== undefined
        ? { type: 'error', run_id, errcode: 42, description: error }
        : question !== undefined
          ? { type: 'interrupt', interrupt: { question } }
          : words
            ? { type: 'result', messages: [{ role: 'assistant', content: [{ type: 'text', text: words.join('') }] }] }
            : { type: 'result', values: parameters['do'] === 'text value' ? 'four' : data };
    const waited = { run: { ...run }, output };
    held(peer, 'agntcy:waited', waited);
    if (parameters['do'] === 'contradict') waited.run.status = 'error';
    if (parameters['do'] === 'other agent') waited.run.agent_id = randomUUID();
    if (parameters['do'] === 'other run') waited.output = { type: 'error', run_id: randomUUID(), errcode: 1, description: 'not mine' };
    json(response, waited);
  };
  setTimeout(conclude, afterMs ?? 0).unref();
}

function stream(run: Run, parameters: Record<string, unknown>, { response, peer }: { response: ServerResponse; peer: AcpPeer }) {
  const { run_id } = run;
  let sent = 0;
  const tell = (update: object) => {
    held(peer, 'agntcy:update', update);
    sent += 1;
    response.write(`id: ${sent}\nevent: agent_event\ndata: ${JSON.stringify(update)}\n\n`);
  };
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  tell({ type: 'values', run_id, status: 'pending', values: {} });
  const { data, words, error, question, afterMs } = think(parameters);
  const lie = parameters['do'];
  if (lie === 'dies half-way') return void setTimeout(() => response.destroy(), 30);
  if (lie === 'ends half-way') return void response.end();
  if (lie === 'other run') return tell({ type: 'values', run_id: randomUUID(), status: 'success', values: {} });
  const conclude = () => {
    if (error !== undefined) tell({ type: 'error', run_id, status: 'error', errcode: 42, description: error });
    else if (lie === 'times out') tell({ type: 'values', run_id, status: 'timeout', values: {} });
    else if (question !== undefined) {
      run.status = 'interrupted';
      tell({ type: 'interrupt', run_id, status: 'interrupted', interrupt: { question } });
    } else {
      for (const update of words ?? []) tell({ type: 'custom', run_id, status: 'pending', update });
      const messages = words && [{ role: 'assistant', content: words.join('') }];
      tell({ type: 'values', run_id, status: 'success', values: data ?? {}, ...(messages && { messages }) });
    }
    response.end();
  };
  setTimeout(conclude, afterMs ?? 0).unref();
}

function refuse(peer: AcpPeer, response: ServerResponse, status: number, words: string) {
  held(peer, 'agntcy:error', words);
  json(response, words, status);
}
