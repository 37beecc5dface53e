import type { KnownDescription } from '../../../src/agents/agent.js';
import { type CallOptions, type Progress, Stop } from '../../../src/agents/agent-client.js';
import type { Discovery } from '../../../src/agents/agent-protocol.js';
import { InvokeProtocol } from '../../../src/integration/agents/acp/invoke.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import type { AcpPeer } from '../../support/peers/acp-peer.js';
import { CAPABILITIES, startInvoke } from '../../support/peers/invoke-peer.js';

const outgoing = new Outgoing(['loopback']);
const protocol = new InvokeProtocol(outgoing);
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(() => outgoing.close());

async function started(how: Parameters<typeof startInvoke>[0] = {}): Promise<AcpPeer> {
  const peer = await startInvoke(how);
  closing.push(() => peer.close());
  return peer;
}

const discover = async (url: string) => (await protocol.discover(url, { stop: new Stop() })) as Discovery;

async function call(
  peer: AcpPeer,
  parameters: Record<string, string | number>,
  more: Partial<CallOptions> & { context?: object; more?: string } = {},
) {
  const { context = {}, more: another, ...options } = more;
  const { endpoint, description } = (await discover(peer.url)).agents[0]!;
  const { capabilities } = description;
  const known = { ...description, capabilities: another ? [...capabilities, { name: another }] : capabilities } as KnownDescription;
  const task = { task_id: '01KTASK0000000000000000000', capability: 'add', parameters, context: context as Record<string, never> };
  return protocol.connect({ endpoint, description: known }).call(task, { stop: new Stop(), trace: null, ...options });
}

describe('an agent of the /invoke dialect', () => {
  it('is described by /capabilities, kept byte for byte', async () => {
    const peer = await started();
    const { agents } = await discover(`${peer.url}/invoke`);
    expect(agents).toMatchObject([
      {
        endpoint: peer.url,
        description: {
          agent_id: 'math-agent',
          name: 'Math Agent',
          version: '0.1.0',
          capabilities: [{ name: 'add', input_schema: { required: ['do'] }, output_schema: { type: ['object', 'string'] } }],
        },
      },
    ]);
    expect(agents[0]!.document.bytes.toString()).toBe(JSON.stringify(CAPABILITIES));
  });

  it('is described by /schema and /agent-info where it has no /capabilities', async () => {
    const peer = await started({ describedBy: '/schema' });
    expect((await discover(peer.url)).agents).toMatchObject([
      {
        document: { media_type: 'application/json' },
        description: { agent_id: 'math-agent', version: '0.3.0', capabilities: [{ name: 'invoke', input_schema: { required: ['do'] } }] },
      },
    ]);
  });

  it('gets the parameters as input and a context as config; the capability only if it has several', async () => {
    const peer = await started();
    await call(peer, { do: 'add', a: 1, b: 2 });
    expect(peer.asked.at(-1)!.body).toEqual({ input: { do: 'add', a: 1, b: 2 }, stream: false });
    await call(peer, { do: 'add', a: 1, b: 2 }, { context: { lang: 'de' }, more: 'multiply', progress: () => undefined });
    expect(peer.asked.at(-1)!.body).toEqual({ capability: 'add', input: { do: 'add', a: 1, b: 2 }, config: { lang: 'de' }, stream: true });
    expect(peer.faults).toEqual([]);
  });

  it('answers a text as data and as text', async () => {
    expect(await call(await started(), { do: 'greet' })).toMatchObject({ success: true, data: 'Hello, Ada!', text: 'Hello, Ada!' });
  });

  it('tells its steps as they come', async () => {
    const heard: Progress[] = [];
    await call(await started(), { do: 'add', a: 1, b: 2 }, { progress: (p) => heard.push(p) });
    expect(heard).toEqual([{ status: 'started' }, { status: 'thinking hard' }]);
  });

  it.each<[string, boolean, string, RegExp]>([
    ['not done', false, 'agent_invalid_response', /before it was done, with the status "processing"/],
    ['error in 200', false, 'agent_failed', /^quota \(429\)$/],
    ['fail', false, 'agent_failed', /^the agent answered HTTP 500: division by zero \(500\)$/],
    ['ends half-way', true, 'agent_invalid_response', /done without a result/],
    ['dies half-way', true, 'agent_unreachable', /no answer/],
  ])('whose answer is %s (streaming: %s) ends %s', async (lie, streams, code, message) => {
    const answer = await call(await started(), { do: lie }, streams ? { progress: () => undefined } : {});
    expect(answer).toMatchObject({ success: false, code, message: expect.stringMatching(message) });
  });
});
