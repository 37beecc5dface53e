import { Stop } from '../../../src/agents/agent-client.js';
import { A2aProtocol } from '../../../src/integration/agents/a2a/a2a-protocol.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import type { A2aPeer, A2aPeerOptions, Rough, Skill } from '../../support/a2a-peer.js';
import { startA2aPeer } from '../../support/a2a-peer.js';
import { agentPortSuite, type PortPeer } from '../agent-port.suite.js';

const outgoing = new Outgoing(['loopback']);
const protocol = new A2aProtocol(outgoing);
afterAll(() => outgoing.close());

const SKILLS: Record<string, Skill> = {
  echo: (say) => say.message(say.asked['parts'] as never),
  slow: async (say) => {
    say.task('working');
    await new Promise((after) => setTimeout(after, 500));
    say.artifact([{ data: { slow: true } }]);
    say.status('completed');
  },
  hang: async (say) => {
    say.task('submitted');
    say.status('working');
    await say.cancelled;
  },
  fail: (say) => {
    say.task('submitted');
    say.status('failed', 'no such planet');
  },
  words: (say) => say.message([{ text: 'Error: out of cheese' }]),
  huge: (say) => say.message([{ text: 'x'.repeat(5 * 1024 * 1024) }]),
  progress: async (say) => {
    say.task('working');
    say.artifact([{ text: 'Hel' }]);
    await new Promise((after) => setTimeout(after, 50));
    say.artifact([{ text: 'lo' }], true);
    say.artifact([{ data: { said: 'Hello' } }], true);
    say.status('completed');
  },
};

/** A task that is being worked on, half an event, and no more. */
const half =
  ({ line, binding, streaming }: Omit<A2aPeerOptions, 'skills'>): Rough =>
  (response, body) => {
    const { id } = body as { id?: number };
    const task = { id: 't1', contextId: 'c1', status: { state: 'TASK_STATE_WORKING' } };
    const rpc = (result: unknown) => ({ jsonrpc: '2.0', id, result });
    const plain = { kind: 'task', ...task, status: { state: 'working' } };
    const said = binding === 'HTTP+JSON' ? { task } : rpc(line === '1.0' ? { task } : plain);
    setTimeout(() => response.socket!.destroy(), 50);
    if (!streaming) return void response.writeHead(200, { 'content-type': 'application/json' }).write('{"jso');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify(said)}\n\ndata: {"jso`);
  };

async function start(options: Omit<A2aPeerOptions, 'skills'>): Promise<PortPeer> {
  const rough: Record<string, Rough> = {
    garbage: (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>It works!</h1>'),
    half: half(options),
  };
  let peer: A2aPeer = await startA2aPeer({ ...options, skills: SKILLS, rough });
  const { port, url } = peer;
  const found = await protocol.discover(url, { stop: new Stop() });
  if (found === null || found === 'unchanged') throw new Error('nobody there');
  return {
    client: protocol.connect(found.agents[0] as never),
    cancelled: () => peer.cancelled,
    lastId: () => peer.heard.at(-1)?.message['messageId'] as string,
    stop: () => peer.close(),
    start: async () => {
      peer = await startA2aPeer({ ...options, skills: SKILLS, rough, port });
    },
    close: () => peer.close(),
  };
}

const ways = [
  ['1.0', 'JSONRPC', true],
  ['1.0', 'HTTP+JSON', true],
  ['1.0', 'JSONRPC', false],
  ['0.3', 'JSONRPC', true],
  ['0.3', 'HTTP+JSON', true],
  ['0.3', 'HTTP+JSON', false],
] as const;
for (const [line, binding, streaming] of ways)
  agentPortSuite(
    `over A2A ${line}, ${binding}, ${streaming ? 'streaming' : 'polled'}`,
    () => start({ line, binding, streaming }),
    streaming ? [] : ['progress'],
  );
