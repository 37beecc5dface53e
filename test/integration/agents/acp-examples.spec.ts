import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { KnownDescription } from '../../../src/agents/agent.js';
import { type AgentClient, Stop } from '../../../src/agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../../src/agents/agent-protocol.js';
import { AgntcyProtocol } from '../../../src/integration/agents/acp/agntcy.client.js';
import { BeeAiProtocol } from '../../../src/integration/agents/acp/beeai.client.js';
import { InvokeProtocol } from '../../../src/integration/agents/acp/invoke.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';

const outgoing = new Outgoing(['loopback']);
const running: ChildProcess[] = [];
afterEach(() => running.splice(0).forEach((child) => void child.kill('SIGKILL')));
afterAll(() => outgoing.close());

/** Started by its one command, found by its address alone. */
async function found(example: string, protocol: AgentProtocol): Promise<{ client: AgentClient; capability: string }> {
  const script = join(__dirname, '../../../examples/agents', example, 'agent.mjs');
  const child = spawn(process.execPath, [script], { env: { PATH: process.env['PATH'], PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  running.push(child);
  const [said] = (await once(child.stdout!, 'data')) as [Buffer];
  const url = /http:\S+/.exec(said.toString())![0];
  const { agents } = (await protocol.discover(url, { stop: new Stop() })) as Discovery;
  const { endpoint, description } = agents[0]!;
  const client = protocol.connect({ endpoint, description: description as KnownDescription });
  expect(await client.health()).toEqual({ status: 'healthy', error: null });
  return { client, capability: description.capabilities[0]!.name };
}

const asking = (capability: string, parameters: Record<string, string | number>) => ({ task_id: 'T', capability, parameters, context: {} });
const heard = () => undefined;

describe.each([undefined, heard])('an example agent, asked by somebody who listens: %p', (progress) => {
  const options = () => ({ stop: new Stop(), trace: null, ...(progress && { progress }) });

  it('acp-agntcy-math calculates, or says that it cannot', async () => {
    const { client, capability } = await found('acp-agntcy-math', new AgntcyProtocol(outgoing));
    const six = await client.call(asking(capability, { operation: 'multiply', a: 2, b: 3 }), options());
    expect(six).toMatchObject({ success: true, data: { result: 6 } });
    const none = await client.call(asking(capability, { operation: 'divide', a: 1, b: 0 }), options());
    expect(none).toMatchObject({ success: false, code: 'agent_failed', message: '1: 1 divide 0 has no finite result' });
  });

  it('acp-beeai-greeter greets, and asks for the name it did not get', async () => {
    const { client, capability } = await found('acp-beeai-greeter', new BeeAiProtocol(outgoing));
    expect(await client.call(asking(capability, { text: 'Ada' }), options())).toMatchObject({ success: true, text: 'Hello, Ada!' });
    const asked = await client.call(asking(capability, { text: '' }), options());
    expect(asked).toMatchObject({ success: false, code: 'input_required' });
    const answered = await client.call(asking(capability, { text: 'Grace' }), { ...options(), continuation: asked.continuation! });
    expect(answered).toMatchObject({ success: true, text: 'Hello, Grace!' });
  });

  it('acp-invoke-greeter greets in the language it is asked for', async () => {
    const { client, capability } = await found('acp-invoke-greeter', new InvokeProtocol(outgoing));
    const hallo = await client.call(asking(capability, { name: 'Ada', language: 'de' }), options());
    expect(hallo).toMatchObject({ success: true, data: { greeting: 'Hallo, Ada!' } });
    expect(await client.call(asking(capability, {}), options())).toMatchObject({ success: false, code: 'agent_failed' });
  });
});
