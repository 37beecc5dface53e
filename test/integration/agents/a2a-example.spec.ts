import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { AgentDescription } from '../../../src/agents/agent.js';
import { Stop } from '../../../src/agents/agent-client.js';
import type { Discovery } from '../../../src/agents/agent-protocol.js';
import { A2aProtocol } from '../../../src/integration/agents/a2a/a2a-protocol.client.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';

const outgoing = new Outgoing(['loopback']);
let child: ChildProcess;
afterAll(async () => {
  child.kill();
  await outgoing.close();
});

it('the math agent of the examples is discovered with its schemas, adds, and cannot divide by zero', async () => {
  const script = join(__dirname, '../../../examples/agents/a2a-math/agent.mjs');
  child = spawn(process.execPath, [script], { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const protocol = new A2aProtocol(outgoing);
  const found = (await protocol.discover(String(line).match(/http:\S+/)![0], { stop: new Stop() })) as Discovery;
  const { endpoint, description } = found.agents[0]!;
  expect(description.capabilities).toMatchObject([
    { name: 'add', input_schema: { required: ['a', 'b'] }, output_schema: { required: ['result'] } },
    { name: 'divide' },
  ]);
  const client = protocol.connect({ endpoint, description: AgentDescription.parse(description) });
  const ask = (capability: string, parameters: Record<string, number>) =>
    client.call({ task_id: `01K-${capability}`, capability, parameters, context: {} }, { stop: new Stop(), trace: null });
  expect(await ask('add', { a: 1, b: 2 })).toMatchObject({ success: true, data: { result: 3 } });
  expect(await ask('divide', { a: 1, b: 0 })).toMatchObject({ success: false, code: 'agent_failed', message: 'cannot divide by zero' });
});
