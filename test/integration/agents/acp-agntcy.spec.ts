import type { KnownDescription } from '../../../src/agents/agent.js';
import { type AgentClient, type CallOptions, type Progress, Stop } from '../../../src/agents/agent-client.js';
import type { Discovery } from '../../../src/agents/agent-protocol.js';
import { AgntcyProtocol } from '../../../src/integration/agents/acp/agntcy.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import type { AcpPeer } from '../../support/peers/acp-peer.js';
import { AGENT, DESCRIPTOR, startAgntcy } from '../../support/peers/agntcy-peer.js';

const outgoing = new Outgoing(['loopback']);
const protocol = new AgntcyProtocol(outgoing);
let peer: AcpPeer;
let client: AgentClient;
let found: Discovery;

beforeEach(async () => {
  peer = await startAgntcy();
  found = (await protocol.discover(peer.url, { stop: new Stop() })) as Discovery;
  client = protocol.connect({ endpoint: found.agents[0]!.endpoint, description: found.agents[0]!.description as KnownDescription });
});
afterEach(() => peer.close());
afterAll(() => outgoing.close());

const capability = 'org.example.math';
const call = (parameters: Record<string, string | number>, more: Partial<CallOptions> & { context?: object } = {}) => {
  const { context = {}, ...options } = more;
  const task = { task_id: '01KTASK0000000000000000000', capability, parameters, context: context as Record<string, never> };
  return client.call(task, { stop: new Stop(), trace: null, ...options });
};

describe('an AGNTCY agent', () => {
  it('is found by the search, with the schemas of its descriptor and the descriptor byte for byte', async () => {
    const { specs } = DESCRIPTOR;
    expect(found.skipped).toEqual([]);
    expect(found.agents).toMatchObject([
      {
        endpoint: `${peer.url}/agents/${AGENT}`, // not the url of its own reference
        description: {
          agent_id: 'org.example.math',
          version: '2.1.0',
          capabilities: [
            { name: capability, input_schema: specs.input, output_schema: specs.output, tags: ['interrupts', 'streaming-values'] },
          ],
        },
      },
    ]);
    expect(found.agents[0]!.document.bytes.toString()).toBe(JSON.stringify(DESCRIPTOR));
    expect(peer.faults).toEqual([]);
  });

  it('is found by an address of its own', async () => {
    const one = (await protocol.discover(`${peer.url}/agents/${AGENT}`, { stop: new Stop() })) as Discovery;
    expect(one.agents).toEqual(found.agents);
  });

  it('gets the parameters as input, the task and its context as metadata, and is to cancel when its caller hangs up', async () => {
    await call({ do: 'add', a: 1, b: 2 }, { context: { user: 'u' } });
    const { path, body } = peer.asked.at(-1)!;
    expect(path).toBe('/runs/wait');
    expect(body).toEqual({
      agent_id: AGENT,
      input: { do: 'add', a: 1, b: 2 },
      metadata: { task_id: '01KTASK0000000000000000000', capability, context: { user: 'u' } },
      on_disconnect: 'cancel',
    });
    expect(peer.faults).toEqual([]);
  });

  it('answers values as data; values that are a text are words as well', async () => {
    expect(await call({ do: 'text value' })).toMatchObject({ success: true, data: 'four', text: 'four' });
    expect(await call({ do: 'greet' })).toMatchObject({ success: true, data: { text: 'Hello, Ada!' }, text: 'Hello, Ada!' });
  });

  it('that interrupts ends as input_required, and the next call in the session resumes it', async () => {
    for (const progress of [undefined, () => undefined]) {
      const asked = await call({ do: 'ask' }, progress && { progress });
      expect(asked).toMatchObject({ success: false, code: 'input_required', data: { question: 'Which city?' } });
      const { run_id } = asked.continuation as { run_id: string };
      const resumed = await call({ city: 'Bern' }, { continuation: asked.continuation! });
      expect(resumed).toMatchObject({ success: true, data: { city: 'Bern' }, raw: { run: { run_id } } });
      expect(resumed).not.toHaveProperty('continuation');
      const again = await call({ city: 'Bern' }, { continuation: asked.continuation! });
      expect(again).toMatchObject({
        success: false,
        code: 'agent_failed',
        message: 'the agent answered HTTP 409: the run is not interrupted',
      });
    }
    expect(peer.faults).toEqual([]);
  });

  it('that cannot be reached is left where the conversation stood', async () => {
    const asked = await call({ do: 'ask' });
    await peer.close();
    const lost = await call({ city: 'Bern' }, { continuation: asked.continuation! });
    expect(lost).toMatchObject({ success: false, code: 'agent_unreachable', continuation: asked.continuation });
  });

  it('streams where somebody listens and is told of it by name when the call is called off', async () => {
    const stop = new Stop();
    const heard: Progress[] = [];
    const progress = (p: Progress) => {
      heard.push(p);
      setTimeout(() => stop.stop(new Error('enough')), 20);
    };
    await call({ do: 'never' }, { stop, progress });
    expect(heard).toEqual([{ status: 'pending' }]);
    for (let i = 0; i < 500 && peer.cancelled.length === 0; i += 1) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(peer.cancelled).toHaveLength(1);
    expect(peer.asked.at(-2)!.body).toMatchObject({ stream_mode: 'values' });
  });

  it('tells its custom updates as they come', async () => {
    const heard: Progress[] = [];
    await call({ do: 'greet' }, { progress: (p) => heard.push(p) });
    expect(heard).toEqual([{ status: 'pending' }, { delta: 'Hello, ' }, { delta: 'Ada!' }, { status: 'success' }]);
  });

  it('is asked to stream only if it says it can', async () => {
    const { endpoint, description } = found.agents[0]!;
    const silent = { ...description, capabilities: description.capabilities.map(({ tags: _tags, ...c }) => c) } as KnownDescription;
    client = protocol.connect({ endpoint, description: silent });
    expect(await call({ do: 'add', a: 1, b: 2 }, { progress: () => undefined })).toMatchObject({ success: true });
    expect(peer.asked.at(-1)!.path).toBe('/runs/wait');
  });

  it.each<[string, boolean, string, RegExp]>([
    ['contradict', false, 'agent_invalid_response', /status error, but a result/],
    ['other agent', false, 'agent_invalid_response', /for the agent/],
    ['other run', false, 'agent_invalid_response', /for another run/],
    ['other run', true, 'agent_invalid_response', /for another run/],
    ['times out', true, 'agent_failed', /the status timeout/],
    ['ends half-way', true, 'agent_invalid_response', /ended before the run did/],
    ['dies half-way', true, 'agent_unreachable', /no answer/],
  ])('whose answer is %s (streaming: %s) ends %s', async (lie, streams, code, message) => {
    const answer = await call({ do: lie }, streams ? { progress: () => undefined } : {});
    expect(answer).toMatchObject({ success: false, code, message: expect.stringMatching(message) });
  });
});
