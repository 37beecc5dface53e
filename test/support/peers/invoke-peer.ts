/** A test agent of the plain /invoke dialect: honest unless its parameters ask for a lie. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type AcpPeer, asWished, json, RAW, startAcpPeer, think } from './acp-peer.js';

const input_schema = { type: 'object', required: ['do'] };
const output_schema = { type: ['object', 'string'] };
export const CAPABILITIES = {
  agent_id: 'math-agent',
  agent_name: 'Math Agent',
  description: 'Calculates',
  version: '0.1.0',
  capabilities: [{ name: 'add', description: 'Adds two numbers', input_schema, output_schema }],
  supported_languages: ['en'],
};
const INFO = { agent_name: 'Math Agent', description: 'Calculates', version: '0.3.0' };

/** `describedBy`: where it says what it can do. */
export function startInvoke({ describedBy = '/capabilities', port }: { describedBy?: string; port?: number } = {}): Promise<AcpPeer> {
  const documents: Record<string, unknown> = {
    '/health': { status: 'healthy', timestamp: 1_700_000_000.5 },
    '/agent-info': INFO,
    '/schema': { input: input_schema, output: output_schema, config: { type: 'object' } },
    '/capabilities': CAPABILITIES,
  };
  return startAcpPeer((asked, response, peer) => {
    const { path, body } = asked;
    if (path === '/capabilities' && describedBy !== path) return json(response, { error: 'Not Found', code: '404' }, 404);
    if (path in documents) return json(response, documents[path]);
    if (path !== '/invoke') return json(response, { error: 'Not Found', code: '404' }, 404);
    for (const member of Object.keys(body))
      if (!['input', 'config', 'stream', 'capability'].includes(member)) peer.faults.push(`/invoke has no member ${member}`);
    const parameters = asWished(body.capability, body.input);
    const raw = RAW[String(parameters['do'])];
    if (raw) return raw(response);
    (body.stream ? stream : answer)(parameters, response);
  }, port);
}

const invoked = (output: unknown) => ({ id: randomUUID(), output, status: 'completed', metadata: { processing_time_ms: 1 } });

function answer(parameters: Record<string, unknown>, response: ServerResponse) {
  const { data, words, error, afterMs } = think(parameters);
  if (parameters['do'] === 'not done') return json(response, { id: randomUUID(), output: null, status: 'processing' });
  if (parameters['do'] === 'error in 200') return json(response, { error: 'quota', code: '429', details: null });
  setTimeout(() => {
    if (error !== undefined) json(response, { error, code: '500', details: { at: 'divide' } }, 500);
    else json(response, invoked(data ?? words?.join('')));
  }, afterMs ?? 0).unref();
}

function stream(parameters: Record<string, unknown>, response: ServerResponse) {
  const { data, words, error, afterMs } = think(parameters);
  const tell = (event: object) => response.write(`data: ${JSON.stringify(event)}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  tell({ status: 'started' });
  tell({ status: 'processing', message: 'thinking hard' });
  if (parameters['do'] === 'dies half-way') return void setTimeout(() => response.destroy(), 30);
  if (parameters['do'] === 'ends half-way') return void response.end('data: [DONE]\n\n');
  setTimeout(() => {
    tell(error !== undefined ? { status: 'error', error } : { status: 'completed', result: invoked(data ?? words?.join('')) });
    response.end('data: [DONE]\n\n');
  }, afterMs ?? 0).unref();
}
