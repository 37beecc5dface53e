import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type { KnownDescription } from '../../../src/agents/agent.js';
import { type AgentClient, type Answer, type CallOptions, type Progress, Stop } from '../../../src/agents/agent-client.js';
import type { Discovery } from '../../../src/agents/agent-protocol.js';
import { BeeAiProtocol } from '../../../src/integration/agents/acp/beeai.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import type { AcpPeer } from '../../support/peers/acp-peer.js';
import { MANIFESTS, startBeeAi } from '../../support/peers/beeai-peer.js';

/** The SDK's ESM entry does not load on Node 20, its CommonJS entry does. */
const { Client } = createRequire(__filename)('acp-sdk') as typeof import('acp-sdk');

const outgoing = new Outgoing(['loopback']);
const protocol = new BeeAiProtocol(outgoing);
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => outgoing.close());

async function started(how: Parameters<typeof startBeeAi>[0] = {}): Promise<AcpPeer> {
  const peer = await startBeeAi(how);
  closing.push(() => peer.close());
  return peer;
}

const discover = async (url: string) => (await protocol.discover(url, { stop: new Stop() })) as Discovery;

async function clientOf(peer: AcpPeer, name: string): Promise<AgentClient> {
  const { endpoint, description } = (await discover(`${peer.url}/agents/${name}`)).agents[0]!;
  return protocol.connect({ endpoint, description: description as KnownDescription });
}

const call = (client: AgentClient, parameters: Record<string, string | number>, more: Partial<CallOptions> & { context?: object } = {}) => {
  const { context = {}, ...options } = more;
  const task = { task_id: '01KTASK0000000000000000000', capability: 'add', parameters, context: context as Record<string, never> };
  return client.call(task, { stop: new Stop(), trace: null, ...options });
};
const continuationOf = (answer: Answer) => answer.continuation as Record<string, string>;

describe('the test agent', () => {
  it('is understood by the SDK of the protocol', async () => {
    const peer = await started();
    const client = new Client({ baseUrl: peer.url });
    await client.ping();
    expect((await client.agents()).map(({ name }) => name)).toEqual(['math', 'greeter']);
    expect(await client.agent('greeter')).toMatchObject({ description: 'Says hello' });
    const run = await client.runSync('greeter', 'Ada');
    expect(run).toMatchObject({ status: 'completed', output: [{ parts: [{ content: 'Hello, ' }, { content: 'Ada!' }] }] });
    expect((await client.runStatus((await client.runAsync('greeter', 'Ada')).run_id)).agent_name).toBe('greeter');
    const events = [];
    for await (const event of client.runStream('greeter', 'Ada')) events.push(event.type);
    expect(events).toEqual(['run.created', 'run.in-progress', 'message.part', 'message.part', 'run.completed']);
    expect(peer.faults).toEqual([]);
  });
});

describe('agents behind a BeeAI server', () => {
  it('are all found, each with its manifest byte for byte and an address of its own', async () => {
    const peer = await started();
    const { agents, skipped, etag } = await discover(`${peer.url}/`);
    expect(agents.map(({ endpoint }) => endpoint)).toEqual([`${peer.url}/agents/math`, `${peer.url}/agents/greeter`]);
    expect(agents.map(({ document }) => document.bytes.toString())).toEqual(MANIFESTS.map((manifest) => JSON.stringify(manifest)));
    expect(skipped).toEqual([]);
    expect(await protocol.discover(peer.url, { stop: new Stop(), etag: etag! })).toBe('unchanged');
    expect(peer.faults).toEqual([]);
  });

  it('have the capabilities they list, with the schemas of their annotations, or one that is called as they are', async () => {
    const [math, greeter] = (await discover((await started()).url)).agents.map(({ description }) => description);
    expect(math).toMatchObject({
      agent_id: 'math',
      version: '1.0.0',
      capabilities: [
        { name: 'add', input_schema: { required: ['do'] }, output_schema: { type: 'object' }, tags: ['numbers'] },
        { name: 'Vector-Sums', description: 'Vector Sums: Adds vectors' },
      ],
    });
    expect(math!.capabilities[1]).not.toHaveProperty('input_schema');
    // It takes nothing but text, and parameters become text only if they are {"text": "…"}.
    expect(greeter!.capabilities).toMatchObject([{ name: 'greeter', input_schema: { required: ['text'], additionalProperties: false } }]);
  });

  it('are found one by one by an address of their own', async () => {
    const peer = await started();
    expect((await discover(`${peer.url}/agents/greeter/`)).agents).toMatchObject([{ endpoint: `${peer.url}/agents/greeter` }]);
    expect(await protocol.discover(`${peer.url}/agents/nobody`, { stop: new Stop() })).toBeNull();
  });
});

describe('a call of a BeeAI agent', () => {
  it('sends parameters that are only a text as text, all others as JSON, a context beside them', async () => {
    const peer = await started();
    await call(await clientOf(peer, 'greeter'), { text: 'Ada' });
    await call(await clientOf(peer, 'math'), { do: 'add', a: 1, b: 2, text: 'x' }, { context: { user: 'u' } });
    const sent = peer.asked.filter(({ path }) => path === '/runs').map(({ body }) => body.input[0].parts);
    expect(sent).toEqual([
      [{ content_type: 'text/plain', content: 'Ada' }],
      [
        { name: 'add', content_type: 'application/json', content: '{"do":"add","a":1,"b":2,"text":"x"}' },
        { name: 'context', content_type: 'application/json', content: '{"user":"u"}' },
      ],
    ]);
    expect(peer.faults).toEqual([]);
  });

  it('gets JSON parts as data, unnamed text parts as text, all others as files by size and hash', async () => {
    const answer = await call(await clientOf(await started(), 'math'), { do: 'files' });
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(answer).toMatchObject({ success: true, data: { pages: 2 }, text: 'Two files' });
    expect(answer.files).toEqual([
      { media_type: 'image/png', size: 10, sha256: sha256('not really') },
      { media_type: 'application/pdf', url: 'https://files.example/report.pdf' },
      { name: 'notes.md', media_type: 'text/markdown', size: 7, sha256: sha256('# Notes') },
    ]);
  });

  it.each(['sync', 'async'] as const)('is understood by an agent that answers in mode %s whatever it is asked for', async (answersAs) => {
    const peer = await started({ answersAs });
    const math = await clientOf(peer, 'math');
    expect(await call(math, { do: 'slow' })).toMatchObject({ success: true, data: { slow: true }, raw: { status: 'completed' } });
    expect(await call(math, { do: 'fail' })).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: 'server_error: division by zero',
    });
    expect(peer.faults).toEqual([]);
  });

  it('tells the words while they come', async () => {
    const heard: Progress[] = [];
    await call(await clientOf(await started(), 'math'), { do: 'greet' }, { progress: (p) => heard.push(p) });
    expect(heard).toEqual([
      { status: 'created' },
      { status: 'in-progress' },
      { delta: 'Hello, ' },
      { delta: 'Ada!' },
      { status: 'completed' },
    ]);
  });

  it('that is awaited ends as input_required, and the next call in the session resumes it', async () => {
    const peer = await started();
    const math = await clientOf(peer, 'math');
    const asked = await call(math, { do: 'ask' });
    expect(asked).toMatchObject({ success: false, code: 'input_required', data: { message: { parts: [{ content: 'Which city?' }] } } });
    const { run_id, session_id } = continuationOf(asked);
    const answered = await call(math, { city: 'Bern' }, { continuation: asked.continuation! });
    expect(answered).toMatchObject({ success: true, data: { city: 'Bern' }, raw: { run_id }, continuation: { session_id } });
    expect(answered.continuation).not.toHaveProperty('run_id');
    expect(peer.faults).toEqual([]);
  });

  it('that resumes a run which is gone fails, and its session goes on', async () => {
    const peer = await started();
    const math = await clientOf(peer, 'math');
    const { session_id } = continuationOf(await call(math, { do: 'add', a: 1, b: 1 }));
    const run_id = '6a4b1d3e-1111-4222-8333-444455556666';
    const gone = await call(math, { city: 'Bern' }, { continuation: { run_id, session_id: session_id! } });
    expect(gone).toMatchObject({ success: false, code: 'agent_failed', message: expect.stringContaining('not found') });
    expect(gone.continuation).toEqual({ session_id });
  });

  it('stays in the session of the one before', async () => {
    const peer = await started();
    const math = await clientOf(peer, 'math');
    const first = await call(math, { do: 'add', a: 1, b: 1 });
    const second = await call(math, { do: 'add', a: 1, b: 1 }, { continuation: first.continuation! });
    expect(continuationOf(first)['session_id']).toBe(continuationOf(second)['session_id']);
  });

  it('outlives its stream: an agent that is still there is asked what became of the run', async () => {
    const peer = await started();
    const math = await clientOf(peer, 'math');
    for (const lie of ['dies half-way', 'ends half-way'])
      expect(await call(math, { do: lie })).toMatchObject({ success: true, text: 'survived' });
    expect(peer.asked.filter(({ method, path }) => method === 'POST' && path === '/runs')).toHaveLength(2); // nothing was asked twice
  });

  it('whose agent dies half-way through the stream and stays away is unreachable', async () => {
    const peer = await started();
    const math = await clientOf(peer, 'math');
    const answer = call(math, { do: 'never' }, { progress: (p) => 'status' in p && p.status === 'in-progress' && void peer.close() });
    expect(await answer).toMatchObject({ success: false, code: 'agent_unreachable' });
  });

  it('that is called off before the agent named the run is cancelled as soon as it did', async () => {
    const peer = await started({ answersAs: 'sync' });
    const stop = new Stop();
    const answer = call(await clientOf(peer, 'math'), { do: 'slow', ms: 900 }, { stop });
    setTimeout(() => stop.stop(new Error('enough')), 100);
    const from = performance.now();
    await answer;
    expect(performance.now() - from).toBeLessThan(800); // before the run, of 900 ms, could be named
    for (let i = 0; i < 500 && peer.cancelled.length === 0; i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(peer.cancelled).toHaveLength(1);
  });

  it.each<[string, string, RegExp]>([
    ['other run', 'agent_invalid_response', /for another run/],
    ['other agent', 'agent_invalid_response', /for the agent "somebody"/],
    ['broken part', 'agent_invalid_response', /JSON/],
    ['unnamed', 'agent_invalid_response', /before it named its run/],
    ['error event', 'agent_failed', /server_error: out of memory/],
  ])('that is answered by %s ends %s', async (lie, code, message) => {
    const answer = await call(await clientOf(await started(), 'math'), { do: lie });
    expect(answer).toMatchObject({ success: false, code, message: expect.stringMatching(message) });
  });

  it('of an agent the server does not know fails with its words', async () => {
    const peer = await started();
    const { agents } = await discover(`${peer.url}/agents/greeter`);
    const stranger = protocol.connect({ endpoint: `${peer.url}/agents/nobody`, description: agents[0]!.description as KnownDescription });
    const answer = await call(stranger, { text: 'x' });
    expect(answer).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: 'the agent answered HTTP 404: not_found: Agent nobody not found',
    });
  });
});
