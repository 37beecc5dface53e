import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentDescription } from '../../../src/agents/agent.js';
import { type Answer, type CallOptions, type Progress, Stop } from '../../../src/agents/agent-client.js';
import { A2aProtocol } from '../../../src/integration/agents/a2a/a2a-protocol.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import type { JsonValue } from '../../../src/kernel/json.js';
import { traceHeaders } from '../../../src/kernel/trace.js';
import { type A2aPeer, type A2aPeerOptions, type Json, type Skill, startA2aPeer } from '../../support/a2a-peer.js';
import { within } from '../agent-port.suite.js';

const outgoing = new Outgoing(['loopback']);
const protocol = new A2aProtocol(outgoing);
const closing: (() => Promise<void>)[] = [() => outgoing.close()];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

// The SDK's servers tell the console of every error they answer with.
beforeAll(() => void jest.spyOn(console, 'error').mockImplementation(() => undefined));

type Calls = (capability: string, parameters?: Record<string, JsonValue>, options?: Partial<CallOptions>) => Promise<Answer>;
let calls = 0;

async function clientOf(url: string): Promise<Calls> {
  const found = await protocol.discover(url, { stop: new Stop() });
  if (found === null || found === 'unchanged') throw new Error('nobody there');
  const [{ endpoint, description }] = found.agents as [(typeof found.agents)[number]];
  const client = protocol.connect({ endpoint, description: AgentDescription.parse(description) });
  closing.push(() => client.close());
  return (capability, parameters = {}, options = {}) =>
    client.call({ task_id: `contract-${++calls}`, capability, parameters, context: {} }, { stop: new Stop(), trace: null, ...options });
}

async function agent(skills: Record<string, Skill>, options: Partial<A2aPeerOptions> = {}): Promise<{ peer: A2aPeer; call: Calls }> {
  const peer = await startA2aPeer({ line: '1.0', binding: 'JSONRPC', streaming: true, skills, ...options });
  closing.push(() => peer.close());
  return { peer, call: await clientOf(peer.url) };
}

const versions = [
  ['1.0', 'JSONRPC', true],
  ['1.0', 'HTTP+JSON', false],
  ['0.3', 'JSONRPC', false],
  ['0.3', 'HTTP+JSON', true],
] as const;

describe.each(versions)('an A2A %s agent over %s (streaming: %s)', (line, binding, streaming) => {
  const bytes = Buffer.from('a planet');
  let peer: A2aPeer;
  let call: Calls;
  beforeAll(async () => {
    ({ peer, call } = await agent(
      {
        both: (say) => say.message([{ text: 'two' }, { data: { a: 1 } }, { text: 'lines' }, { data: { b: 2 } }]),
        files: (say) =>
          say.task('completed', [
            { raw: bytes.toString('base64'), filename: 'planet.txt', mediaType: 'text/plain' },
            { url: 'https://files.example/moon.png', mediaType: 'image/png' },
          ]),
        nothing: (say) => say.task('completed'),
        ask: (say) => {
          const answered = say.asked['taskId'] !== undefined && (say.asked['parts'] as Json[])[0]!['text'] !== undefined;
          if (!answered) {
            say.task('submitted');
            return say.status('input-required', 'which planet?');
          }
          say.task('working');
          say.artifact([{ text: 'Mars it is' }]);
          say.status('completed');
        },
        login: (say) => {
          say.task('submitted');
          say.status('auth-required', 'who are you?');
        },
        reject: (say) => say.task('rejected'),
        cancel: (say) => say.task('canceled'),
        late: async (say) => {
          say.task('submitted');
          for (let i = 0; i < 3; i++) {
            await new Promise((after) => setTimeout(after, 120));
            say.status('working', `step ${i}`);
          }
          say.artifact([{ data: [1, 2] }]);
          say.status('completed', 'done');
        },
      },
      { line, binding, streaming },
    ));
  });

  it('gives all its data parts as a list, its text parts as lines, and what it said as it said it', async () => {
    const answer = await call('both');
    expect(answer).toMatchObject({ success: true, data: [{ a: 1 }, { b: 2 }], text: 'two\nlines' });
    expect(answer.read).toBe('message: data is the list of 2 data parts, text is 2 text part(s), 0 file(s)');
    expect(JSON.stringify(answer.raw)).toContain('"two"');
  });

  it('gives files by name, size and hash, and their content is nowhere', async () => {
    const answer = await call('files');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(answer).toMatchObject({
      success: true,
      data: null,
      files: [
        // The HTTP binding of 0.3 has no place for a name.
        { ...((line === '1.0' || binding === 'JSONRPC') && { name: 'planet.txt' }), media_type: 'text/plain', size: 8, sha256 },
        { media_type: 'image/png', url: 'https://files.example/moon.png' },
      ],
    });
    expect(JSON.stringify(answer)).not.toContain(bytes.toString('base64'));
    expect(JSON.stringify(answer.raw)).toContain(sha256);
  });

  it('may be done without a word', async () => {
    expect(await call('nothing')).toMatchObject({ success: true, data: null, read: expect.stringContaining('task completed') });
  });

  it('is asked again in its own conversation: input that it wants continues its task, what is done only its context', async () => {
    const first = await call('ask');
    expect(first).toMatchObject({ success: false, code: 'input_required', message: 'which planet?' });
    const { contextId, taskId } = first.continuation as Json;
    expect([contextId, taskId]).toEqual([expect.stringMatching(/./), expect.stringMatching(/./)]);
    const second = await call('ask', { text: 'Mars' }, { continuation: first.continuation! });
    expect(second).toMatchObject({ success: true, data: { text: 'Mars it is' }, continuation: { contextId } });
    expect(second.continuation).toEqual({ contextId });
    expect(peer.heard.at(-1)!.message).toMatchObject({ contextId, taskId, messageId: `contract-${calls}` });
  });

  it('that wants a login is continued likewise', async () => {
    const answer = await call('login');
    expect(answer).toMatchObject({ success: false, code: 'auth_required', message: 'who are you?' });
    expect(answer.continuation).toEqual({ contextId: expect.any(String), taskId: expect.any(String) });
  });

  it.each([
    ['reject', 'agent_failed', 'the task is rejected, the agent gave no reason'],
    ['cancel', 'cancelled', 'the task is canceled, the agent gave no reason'],
  ])('may %s the task', async (skill, code, message) => {
    expect(await call(skill)).toMatchObject({ success: false, code, message });
  });

  it('is followed through a long task, step by step', async () => {
    const told: Progress[] = [];
    const answer = await call('late', {}, { progress: (progress) => told.push(progress) });
    expect(answer).toMatchObject({ success: true, data: [1, 2] });
    expect(told).toContainEqual({ status: 'submitted' });
    expect(told).toContainEqual({ status: 'completed: done' });
    if (streaming) expect(told).toContainEqual({ status: 'working: step 1' });
  });

  it('says why it does not continue a task it does not know, and the next call starts afresh', async () => {
    const answer = await call('ask', {}, { continuation: { contextId: 'c', taskId: 'never heard of' } });
    expect(answer).toMatchObject({ success: false, code: 'agent_failed', message: expect.stringContaining('answered with an error') });
    expect(answer.continuation).toEqual({ contextId: 'c' });
  });

  it('gets the trace, the skill and the version it speaks', async () => {
    const trace = { id: '0af7651916cd43dd8448eb211c80319c', sampled: true };
    await call('both', { text: 'only this' }, { trace });
    const { message, headers } = peer.heard.at(-1)!;
    const { traceparent } = traceHeaders(trace, message['messageId'] as string);
    expect(headers).toMatchObject({ traceparent, 'a2a-version': line });
    expect(message['metadata']).toEqual({ skill: 'both' });
    expect(JSON.stringify(message)).toContain('only this');
  });
});

describe('an A2A agent that is not as it should be', () => {
  const card = (url: string, more: Json = {}): Json => ({
    name: 'Bad agent',
    version: '1.0.0',
    capabilities: { streaming: true },
    skills: [{ id: 'x', name: 'x', description: '', tags: [] }],
    supportedInterfaces: [{ url: `${url}/a2a`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    ...more,
  });
  type Said = (
    rpc: (result: unknown) => string,
    method: string,
    id: number,
  ) => { type?: string; status?: number; body: string; hold?: boolean; die?: boolean };

  async function bad(said: Said, more: Json = {}): Promise<{ call: Calls; methods: string[] }> {
    const methods: string[] = [];
    const listener: RequestListener = (request, response) => {
      const url = `http://${request.headers.host}`;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.method === 'GET')
          return void response.setHeader('content-type', 'application/json').end(JSON.stringify(card(url, more)));
        const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: number; method: string };
        methods.push(method);
        const { type, status, body, hold, die } = said((result) => JSON.stringify({ jsonrpc: '2.0', id, result }), method, id);
        response.writeHead(status ?? 200, { 'content-type': type ?? 'text/event-stream' });
        response.write(body);
        if (die) setTimeout(() => response.destroy(), 30);
        else if (!hold) response.end();
      });
    };
    const server = createServer(listener);
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    closing.push(() => new Promise((done) => void server.close(() => done()).closeAllConnections()));
    return { call: await clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), methods };
  }
  const events = (...data: string[]) => data.map((event) => `data: ${event}\n\n`).join('');
  const task = (id: string, state: string) => ({ task: { id, contextId: 'c1', status: { state: `TASK_STATE_${state}` } } });

  it('answers for another task', async () => {
    const other = { statusUpdate: { taskId: 't2', contextId: 'c1', status: { state: 'TASK_STATE_COMPLETED' } } };
    const { call } = await bad((rpc) => ({ body: events(rpc(task('t1', 'WORKING')), rpc(other)) }));
    expect(await call('x')).toMatchObject({
      success: false,
      code: 'agent_invalid_response',
      message: 'the agent spoke of task t2, asked was about t1',
      raw: [task('t1', 'WORKING'), other],
    });
  });

  it('answers about another task than it was asked for', async () => {
    const { call } = await bad((rpc, method) =>
      method === 'GetTask'
        ? { type: 'application/json', body: rpc(task('t9', 'COMPLETED').task) }
        : { body: events(rpc(task('t1', 'WORKING'))) },
    );
    expect(await call('x')).toMatchObject({ success: false, code: 'agent_invalid_response', message: expect.stringContaining('t9') });
  });

  it('continues another task than the one it was asked to', async () => {
    const { call } = await bad((rpc) => ({ body: events(rpc(task('t2', 'COMPLETED'))) }));
    const continuation = { contextId: 'c1', taskId: 't1' };
    expect(await call('x', {}, { continuation })).toMatchObject({ code: 'agent_invalid_response', continuation: { contextId: 'c1' } });
  });

  it('answers another request', async () => {
    const { call } = await bad((rpc, _method, id) => ({ body: events(rpc(task('t1', 'COMPLETED')).replace(`"id":${id}`, '"id":77')) }));
    expect(await call('x')).toMatchObject({ success: false, code: 'agent_invalid_response', message: expect.stringContaining('mismatch') });
  });

  it('never ends its task: it is asked less and less often, until nobody waits, and then told', async () => {
    const { call, methods } = await bad((rpc, method) =>
      method === 'SendStreamingMessage'
        ? { body: events(rpc(task('t1', 'WORKING'))) }
        : { type: 'application/json', body: rpc(task('t1', 'WORKING').task) },
    );
    const stop = new Stop();
    const answer = call('x', {}, { stop });
    const asked = () => methods.filter((method) => method === 'GetTask').length;
    await new Promise((after) => setTimeout(after, 1500));
    expect(await within(10_000, () => asked() > 3)).toBe(true);
    stop.stop(new Error('enough'));
    expect(await answer).toMatchObject({ success: false, code: 'cancelled', message: 'enough' });
    expect(await within(10_000, () => methods.at(-1) === 'CancelTask')).toBe(true);
    expect(asked()).toBeLessThan(12);
  });

  it('breaks off a stream: its task is asked for, and nothing is lost', async () => {
    const { call, methods } = await bad((rpc, method) =>
      method === 'GetTask'
        ? {
            type: 'application/json',
            body: rpc({ ...task('t1', 'COMPLETED').task, artifacts: [{ artifactId: 'a', parts: [{ data: 7 }] }] }),
          }
        : { body: events(rpc(task('t1', 'WORKING'))), die: true },
    );
    expect(await call('x')).toMatchObject({ success: true, data: 7 });
    expect(methods).toEqual(['SendStreamingMessage', 'GetTask']);
  });

  it('breaks off a stream and never answers again: it is asked six times and then counts as gone', async () => {
    const { call, methods } = await bad((rpc, method) =>
      method === 'GetTask' ? { type: 'application/json', body: '', die: true } : { body: events(rpc(task('t1', 'WORKING'))), die: true },
    );
    expect(await call('x')).toMatchObject({
      success: false,
      code: 'agent_unreachable',
      message: expect.stringContaining('the stream broke'),
    });
    expect(methods).toEqual(['SendStreamingMessage', ...Array<string>(6).fill('GetTask')]);
  }, 15_000);

  it('names its task only after nobody waits any more: it is told all the same', async () => {
    const { call, methods } = await bad((rpc, method) => {
      if (method === 'CancelTask') return { type: 'application/json', body: rpc(task('t1', 'CANCELED').task) };
      return { body: `${events(rpc(task('t1', 'WORKING')))}`, hold: true };
    });
    const stop = new Stop();
    const answer = call('x', {}, { stop });
    setImmediate(() => stop.stop(new Error('changed my mind')));
    expect(await answer).toMatchObject({ success: false, code: 'cancelled' });
    expect(await within(10_000, () => methods.includes('CancelTask'))).toBe(true);
  });

  it.each<[string, string, Partial<Extract<Answer, { success: false }>>]>([
    ['is no JSON', 'data: {"a": \n\n', { message: expect.stringContaining('no JSON') as never }],
    ['is nested too deep', `data: ${'['.repeat(100)}${']'.repeat(100)}\n\n`, { message: expect.stringContaining('no JSON') as never }],
    ['has two members of one name', 'data: {"a":1,"a":2}\n\n', { message: expect.stringContaining('"a"') as never }],
    ['has them without an empty line behind it', 'data: {"a":1,"a":2}\n', { message: expect.stringContaining('"a"') as never }],
    ['is nothing', '', { message: expect.stringContaining('before the agent said anything') as never }],
  ])('streams what %s', async (_what, body, wrong) => {
    const { call } = await bad(() => ({ body }));
    expect(await call('x')).toMatchObject({ success: false, code: 'agent_invalid_response', ...wrong });
  });

  it.each([
    ['a part of nothing', { message: { messageId: 'm', role: 'ROLE_AGENT', parts: [{}] } }],
    ['a task in no state', task('t1', 'UNSPECIFIED')],
    ['a state nobody knows', task('t1', 'DREAMING')],
    ['a task without an id', { task: { status: { state: 'TASK_STATE_COMPLETED' } } }],
    ['neither a message nor a task', { greeting: 'hello' }],
  ])('answers %s', async (_what, result) => {
    const { call } = await bad((rpc) => ({ type: 'application/json', body: rpc(result) }), { capabilities: { streaming: false } });
    expect(await call('x')).toMatchObject({ success: false, code: 'agent_invalid_response', raw: result });
  });

  it('says an error in the words of JSON-RPC, which are kept', async () => {
    const error = { code: -32603, message: 'no such planet', data: { planet: 'X' } };
    const { call } = await bad((_rpc, _method, id) => ({ type: 'application/json', body: JSON.stringify({ jsonrpc: '2.0', id, error }) }));
    expect(await call('x')).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: 'the agent answered with an error: no such planet (-32603)',
      raw: { error },
    });
  });

  it.each([
    [500, 'agent_failed'],
    [503, 'agent_busy'],
    [429, 'agent_busy'],
    [404, 'agent_invalid_response'],
  ])('answers HTTP %d', async (status, code) => {
    const { call } = await bad(() => ({ status, type: 'text/plain', body: 'sorry' }));
    const raw = { encoding: 'utf-8', data: 'sorry' };
    expect(await call('x')).toMatchObject({ success: false, code, message: expect.stringContaining(`${status}`), raw });
  });

  it('redirects, which is not followed', async () => {
    const { call } = await bad(() => ({ status: 302, type: 'text/plain', body: '' }));
    expect(await call('x')).toMatchObject({ success: false, code: 'agent_unreachable', message: expect.stringContaining('redirects') });
  });
});

describe('the health of an A2A agent', () => {
  const description = { agent_id: 'a', name: 'A', description: '', version: '1.0.0', capabilities: [{ name: 'x', description: '' }] };
  async function health(listener: RequestListener) {
    const server = createServer(listener);
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    closing.push(() => new Promise((done) => void server.close(() => done()).closeAllConnections()));
    return protocol.connect({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, description }).health();
  }

  it.each([
    [200, { status: 'healthy', error: null }],
    [404, { status: 'unhealthy', error: 'its agent card answered HTTP 404' }],
    [500, { status: 'unhealthy', error: 'its agent card answered HTTP 500' }],
  ])('follows HTTP %d of its card', async (status, expected) => {
    expect(await health((_request, response) => response.writeHead(status).end())).toEqual(expected);
  });

  it('needs no more than the head of the answer', async () => {
    const unending: RequestListener = (_request, response) => {
      response.writeHead(200).write('{');
    };
    expect(await health(unending)).toEqual({ status: 'healthy', error: null });
  });

  it('is known within five seconds', async () => {
    const from = performance.now();
    const error = 'its agent card cannot be fetched: no answer within 5 s';
    expect(await health(() => undefined)).toEqual({ status: 'unhealthy', error });
    expect(performance.now() - from).toBeLessThan(5500);
  });
});
