/** What holds for an agent behind any of the three protocols called ACP: the suite of the port, and what it does not ask. */
import { AgentDescription, type KnownDescription } from '../../../src/agents/agent.js';
import { type AgentClient, type Answer, type CallOptions, type Progress, Stop } from '../../../src/agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../../src/agents/agent-protocol.js';
import { AgntcyProtocol } from '../../../src/integration/agents/acp/agntcy.client.js';
import { BeeAiProtocol } from '../../../src/integration/agents/acp/beeai.client.js';
import { InvokeProtocol } from '../../../src/integration/agents/acp/invoke.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { traceHeaders } from '../../../src/kernel/trace.js';
import type { AcpPeer } from '../../support/peers/acp-peer.js';
import { startAgntcy } from '../../support/peers/agntcy-peer.js';
import { startBeeAi } from '../../support/peers/beeai-peer.js';
import { startInvoke } from '../../support/peers/invoke-peer.js';
import { agentPortSuite, SKILLS } from '../agent-port.suite.js';

interface Dialect {
  readonly start: (port?: number) => Promise<AcpPeer>;
  readonly protocol: (outgoing: Outgoing) => AgentProtocol;
  /** How the agent hears that a call is called off. */
  readonly calledOff: (peer: AcpPeer) => readonly string[];
}

const DIALECTS: [string, Dialect][] = [
  [
    'acp-agntcy',
    {
      start: startAgntcy,
      protocol: (outgoing) => new AgntcyProtocol(outgoing),
      calledOff: (peer) => peer.hungUp,
    },
  ],
  [
    'acp-beeai',
    {
      start: (port) => startBeeAi({ ...(port && { port }) }),
      protocol: (outgoing) => new BeeAiProtocol(outgoing),
      calledOff: (peer) => peer.cancelled,
    },
  ],
  [
    'acp-invoke',
    {
      start: (port) => startInvoke({ ...(port && { port }) }),
      protocol: (outgoing) => new InvokeProtocol(outgoing),
      calledOff: (peer) => peer.hungUp,
    },
  ],
];

/** Beside its own skills, what the suite of the port asks for. */
function withSkills(description: AgentDescription): KnownDescription {
  const tags = ['streaming-values', 'streaming-custom'];
  return AgentDescription.parse({ ...description, capabilities: Object.keys(SKILLS).map((name) => ({ name, tags })) });
}

for (const [name, { start, protocol }] of DIALECTS)
  agentPortSuite(
    name,
    async () => {
      let peer = await start();
      const outgoing = new Outgoing(['loopback']);
      const { agents } = (await protocol(outgoing).discover(peer.url, { stop: new Stop() })) as Discovery;
      const { endpoint, description } = agents[0]!;
      return {
        client: protocol(outgoing).connect({ endpoint, description: withSkills(description) }),
        cancelled: () => peer.unwanted,
        lastId: () => peer.asked.findLast(({ headers }) => headers['idempotency-key'])?.headers['idempotency-key'] as string,
        stop: () => peer.close(),
        start: async () => {
          peer = await start(Number(new URL(peer.url).port));
        },
        close: async () => {
          await outgoing.close();
          await peer.close();
        },
      };
    },
    name === 'acp-invoke' ? ['progress'] : [], // its stream has steps, no pieces of the answer
  );

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const options = (more: Partial<CallOptions> = {}): CallOptions => ({ stop: new Stop(), trace: null, ...more });
const until = async (holds: () => boolean) => {
  for (let i = 0; i < 1000 && !holds(); i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(holds()).toBe(true);
};

describe.each(DIALECTS)('an agent over %s', (name, { start, protocol, calledOff }) => {
  let peer: AcpPeer;
  let client: AgentClient;
  let outgoing: Outgoing;
  let capability: string;

  beforeEach(async () => {
    peer = await start();
    outgoing = new Outgoing(['loopback']);
    const found = (await protocol(outgoing).discover(peer.url, { stop: new Stop() })) as Discovery;
    const { endpoint, description } = found.agents[0]!;
    client = protocol(outgoing).connect({ endpoint, description: description as KnownDescription });
    capability = description.capabilities[0]!.name;
    closing.push(
      () => client.close(),
      () => outgoing.close(),
      () => peer.close(),
    );
  });

  const call = (parameters: Record<string, string | number>, more: Partial<CallOptions> = {}): Promise<Answer> =>
    client.call({ task_id: '01KTASK0000000000000000000', capability, parameters, context: {} }, options(more));

  it('is called by the name of its protocol', () => {
    expect(protocol(outgoing).name).toBe(name);
  });

  it('answers with data, and the answer is kept as it was said with how it was read', async () => {
    const answer = await call({ do: 'add', a: 2, b: 3 });
    expect(answer).toMatchObject({ success: true, data: { sum: 5 }, raw: expect.any(Object), read: expect.stringMatching(/^ACP/) });
    expect(peer.faults).toEqual([]);
  });

  it('answers with words, which are text', async () => {
    expect(await call({ do: 'greet' })).toMatchObject({ success: true, text: 'Hello, Ada!' });
    expect(peer.faults).toEqual([]);
  });

  it('gets the id of the REQUEST as idempotency key and the trace of its caller', async () => {
    const trace = { id: '0af7651916cd43dd8448eb211c80319c', sampled: true };
    await call({ do: 'add', a: 1, b: 1 }, { trace });
    const { headers } = peer.asked.find(({ method, path }) => method === 'POST' && /runs|invoke/.test(path))!;
    expect(headers['idempotency-key']).toBe('01KTASK0000000000000000000');
    expect(headers['traceparent']).toBe(traceHeaders(trace, '01KTASK0000000000000000000').traceparent);
  });

  it('may take its time while somebody listens', async () => {
    expect(await call({ do: 'slow' }, { progress: () => undefined })).toMatchObject({ success: true, data: { slow: true } });
  });

  it('hears that a call is called off while somebody listens', async () => {
    const stop = new Stop();
    const answer = call({ do: 'never' }, { stop, progress: () => undefined });
    await until(() => peer.asked.some(({ path }) => /runs|invoke/.test(path)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    stop.stop(new Error('enough'));
    await answer;
    await until(() => calledOff(peer).length > 0);
    expect(calledOff(peer)).toHaveLength(1);
  });

  it('that fails says why', async () => {
    expect(await call({ do: 'fail' })).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: expect.stringContaining('division by zero'),
    });
    expect(await call({ do: 'fail' }, { progress: () => undefined })).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: expect.stringContaining('division by zero'),
    });
    expect(peer.faults).toEqual([]);
  });

  it.each(['huge', 'endless'])('that answers too much (%s) is cut off', async (manner) => {
    expect(await call({ do: manner }, { progress: () => undefined })).toMatchObject({ success: false, code: 'agent_response_too_large' });
  });

  it.each<[string, RegExp, unknown]>([
    ['garbage', /JSON/, { data: '{"id": 1, "id' }],
    ['garbage event', /cannot be read/, '{"type": '],
    ['not utf-8', /UTF-8/, undefined],
    ['page', /JSON/, { data: '<h1>Welcome</h1>' }],
    ['moved', /redirects to http:\/\/169\.254\.169\.254\/; redirects are not followed/, { data: '' }],
    ['zipped', /content-encoding gzip/, { data: 'x' }],
  ])('that answers %s has answered nothing valid, and what it said is kept', async (manner, message, raw) => {
    const answer = await call({ do: manner }, { progress: () => undefined });
    expect(answer).toMatchObject({ success: false, code: 'agent_invalid_response', message: expect.stringMatching(message) });
    if (raw === undefined) expect(answer).not.toHaveProperty('raw');
    else if (typeof raw === 'string') expect(answer.raw).toBe(raw);
    else expect(answer.raw).toMatchObject(raw as object);
  });

  it('behind a broken proxy has failed', async () => {
    expect(await call({ do: 'proxy error' })).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: 'the agent answered HTTP 502',
    });
  });

  it('that wants to know who calls says so', async () => {
    expect(await call({ do: 'who are you' })).toMatchObject({ success: false, code: 'auth_required' });
  });

  it('tells how it goes on to who listens, and answers the same', async () => {
    const heard: Progress[] = [];
    const answer = await call({ do: 'greet' }, { progress: (progress) => heard.push(progress) });
    expect(answer).toMatchObject({ success: true, text: 'Hello, Ada!', read: expect.any(String) });
    expect(heard.length).toBeGreaterThan(1);
    expect(heard[0]).toHaveProperty('status');
    expect(peer.faults).toEqual([]);
  });

  it('may live only where agents may live', async () => {
    const elsewhere = new Outgoing([]);
    closing.push(() => elsewhere.close());
    await expect(protocol(elsewhere).discover(peer.url, { stop: new Stop() })).rejects.toMatchObject({ code: 'address_refused' });
    const { agents } = (await protocol(outgoing).discover(peer.url, { stop: new Stop() })) as Discovery;
    client = protocol(elsewhere).connect({ endpoint: agents[0]!.endpoint, description: agents[0]!.description as KnownDescription });
    expect(await call({ do: 'never' })).toMatchObject({
      success: false,
      code: 'agent_unreachable',
      message: expect.stringContaining('AGENT_NETWORKS'),
    });
  });
});
