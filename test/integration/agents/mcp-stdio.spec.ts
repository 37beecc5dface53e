import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Stop } from '../../../src/agents/agent-client.js';
import type { ConfiguredAgent } from '../../../src/agents/agent-source.js';
import { ConfiguredAgents } from '../../../src/integration/agents/configured-agents.system.js';
import { PEER, startMcp, task } from '../../support/mcp.js';
import { agentsFile, scratchDirectory } from '../../support/place.js';
import { until } from '../../support/until.js';

const options = () => ({ stop: new Stop(), trace: null });
/** What has ended may wait for ever for a parent to notice: where /proc tells, such a one is not alive. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, 'utf8'));
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** An agent whose server is this script. */
async function scripted(
  script: string,
  more: object = {},
): Promise<{ agent: ConfiguredAgent | undefined; logged: string[]; file: string }> {
  const directory = await scratchDirectory();
  const file = join(directory, 'told');
  await writeFile(join(directory, 'server.mjs'), script);
  await writeFile(file, '');
  closing.push(() => rm(directory, { recursive: true }));
  const entry = { protocol: 'mcp', agent_id: 'scripted', command: process.execPath, args: [join(directory, 'server.mjs'), file], ...more };
  const logged: string[] = [];
  const [agent] = await new ConfiguredAgents(await agentsFile([entry]), [], { log: (line) => logged.push(line) }).load();
  if (agent) closing.unshift(() => agent.client.close());
  return { agent, logged, file };
}

const told = (file: string) => readFileSync(file, 'utf8').split('\n').slice(0, -1);
const CAN_ADD = { name: 'Scripted', capabilities: [{ name: 'add' }] };
/** Answers initialize, tools/list and tools/call by hand; `tell` writes to the file of the test. */
const SERVER = `
  import { appendFileSync } from 'node:fs';
  import { createInterface } from 'node:readline';
  const tell = (what) => appendFileSync(process.argv[2], what + '\\n');
  const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
  tell('started ' + process.pid);
  const info = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'scripted', version: '1' } };
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method } = JSON.parse(line);
    tell(method);
    if (method === 'server/discover') return typeof probed === 'function' ? probed(id) : say({ id, error: { code: -32601, message: 'no' } });
    if (method === 'initialize') say({ id, result: info });
    if (method === 'ping') say({ id, result: {} });
    if (method === 'tools/list') say({ id, result: { tools: [{ name: 'add', inputSchema: {} }] } });
    if (method === 'tools/call') called(id);
  });
  var probed;
  const done = (id) => say({ id, result: { content: [{ type: 'text', text: 'done' }] } });
  var called = done;
`;

describe('an MCP server over standard streams', () => {
  it('is described by itself, in the words of the agents file where it has some', async () => {
    const peer = await startMcp('v1-stdio');
    closing.push(() => peer.close());
    expect(peer.description).toMatchObject({ agent_id: 'peer', name: 'A peer', version: '3.2.1', description: 'Ask it anything.' });
    expect(peer.description.capabilities[0]).toMatchObject({ name: 'add', input_schema: { required: ['a', 'b'] } });
    const named = await scripted(SERVER, { name: 'My own', version: '9' });
    expect(named.agent!.description).toMatchObject({ name: 'My own', version: '9', capabilities: [{ name: 'add' }] });
  });

  it('is not started before it is needed if the file describes it', async () => {
    const { agent, file } = await scripted(SERVER, CAN_ADD);
    await sleep(200);
    expect(told(file)).toEqual([]);
    expect(await agent!.client.call(task('add'), options())).toMatchObject({ success: true, text: 'done' });
  });

  it('gets PATH, HOME and what it is given of the environment, and nothing else', async () => {
    process.env['SECRET_OF_OURS'] = 'x';
    const peer = await startMcp('v1-stdio');
    closing.push(() => peer.close());
    const answer = await peer.client.call(task('seen'), options());
    expect((answer.data as { environment: string[] }).environment.filter((name) => !name.startsWith('__')).sort()).toEqual(
      ['HOME', 'PATH', 'PEER_LOG'].filter((name) => name === 'PEER_LOG' || process.env[name] !== undefined),
    );
  });

  it('is stopped by us, with everything it has started', async () => {
    const { agent, file } = await scripted(`
      import { spawn } from 'node:child_process';
      ${SERVER}
      tell('started ' + spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' }).pid);
    `);
    const pids = told(file).flatMap((line) => (line.startsWith('started ') ? [Number(line.slice(8))] : []));
    expect([pids.length, pids.every(alive)]).toEqual([2, true]);
    await agent!.client.close();
    await until('both are gone', () => !pids.some(alive));
  });

  it('is killed if it does not end when asked to', async () => {
    const { agent, file } = await scripted(`${SERVER} process.on('SIGTERM', () => tell('no')); setInterval(() => {}, 1000);`);
    const pid = Number(told(file)[0]!.slice(8));
    const from = performance.now();
    await agent!.client.close();
    expect(performance.now() - from).toBeGreaterThan(1900);
    expect([told(file).includes('no'), alive(pid)]).toEqual([true, false]);
  });

  it('is started again by itself, later each time', async () => {
    const { agent, file } = await scripted(`${SERVER} called = () => process.exit(3);`, CAN_ADD);
    const starts = () => told(file).filter((line) => line.startsWith('started')).length;
    const die = () => agent!.client.call(task('add'), options());
    expect(await die()).toMatchObject({ success: false, code: 'agent_unreachable' });
    expect(await agent!.client.health()).toEqual({ status: 'unhealthy', error: expect.stringMatching(/ended with code 3\); .* in 1 s/) });
    await until('it is started again', () => starts() === 2);
    await until('it answers', async () => (await agent!.client.health()).status === 'healthy');
    await die();
    expect(await agent!.client.health()).toEqual({ status: 'unhealthy', error: expect.stringMatching(/in 2 s/) });
    await agent!.client.close();
    await sleep(2500);
    expect(starts()).toBe(2); // closed is closed
    expect(told(file).filter((line) => line === 'tools/call')).toHaveLength(2);
  });

  it('that ends when asked for its era is asked as one of 2025-11-25', async () => {
    const { agent, file } = await scripted(`${SERVER} probed = () => process.exit(1);`);
    expect(agent!.description.name).toBe('scripted');
    expect(told(file).filter((line) => !line.startsWith('started'))).toEqual([
      'server/discover',
      'initialize',
      'notifications/initialized',
      'tools/list',
    ]);
  });

  it('may say other things too: they are logged within bounds, and cost no call', async () => {
    const noise = `console.error('e'.repeat(5000)); for (let i = 0; i < 5000; i++) console.error('x'.repeat(500));
      console.log('listening'); console.log('{"half":');`;
    const { agent, logged } = await scripted(`${SERVER} called = (id) => { ${noise} done(id); };`);
    expect(await agent!.client.call(task('add'), options())).toMatchObject({ success: true, text: 'done' });
    await until('all of it is read', () => logged.some((line) => line.includes('is not logged')));
    expect(logged).toContain('agent scripted: no message: listening');
    expect(logged).toContain('agent scripted: a line of more than 1000 bytes');
    expect(logged.join('').length).toBeLessThan(400_000);
  });

  it.each<[string, string, string, RegExp]>([
    ['a line without end', `process.stdout.write('x'.repeat(5 * 1024 * 1024) + '\\n')`, 'agent_response_too_large', /4194304/],
    [
      'a message that names a member twice',
      `process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":{},"result":{}}\\n')`,
      'agent_invalid_response',
      /"result" stands twice/,
    ],
    ['an answer that is none', `say({ id, result: { content: 'x' } })`, 'agent_invalid_response', /content/],
  ])('that answers with %s fails the call and stays usable', async (_what, says, code, message) => {
    const { agent } = await scripted(`${SERVER} let n = 0; called = (id) => { if (n++) done(id); else { ${says} } };`);
    expect(await agent!.client.call(task('add'), options())).toMatchObject({
      success: false,
      code,
      message: expect.stringMatching(message),
    });
    expect(await agent!.client.call(task('add'), options())).toMatchObject({ success: true, text: 'done' });
  });
});

describe('the agents file', () => {
  const load = async (entry: object) => {
    const logged: string[] = [];
    const source = new ConfiguredAgents(await agentsFile([{ protocol: 'mcp', agent_id: 'a', ...entry }]), [], {
      log: (line) => logged.push(line),
    });
    return { agents: await source.load(), logged };
  };

  it('may name an MCP server by its endpoint alone', async () => {
    const peer = await startMcp('v2-http');
    closing.push(() => peer.close());
    const { agents } = await load({ endpoint: peer.url! });
    expect(agents[0]).toMatchObject({ protocol: 'mcp', endpoint: peer.url, description: { agent_id: 'a', name: 'A peer' } });
    expect(await agents[0]!.client.call(task('add', { a: 1, b: 2 }), options())).toMatchObject({ data: { sum: 3 } });
    await agents[0]!.client.close();
  });

  it.each<[string, object, RegExp]>([
    ['is not there', { endpoint: 'http://127.0.0.1:2/mcp' }, /agent a: left out, .*ECONNREFUSED.*; start it, or write/],
    ['cannot be started', { command: '/nowhere/server' }, /agent a: left out, .*"\/nowhere\/server" cannot be started/],
    ['ends at once', { command: process.execPath, args: ['-e', 'process.exit(4)'] }, /agent a: left out, .*it ended with code 4/],
  ])('does without an MCP server that %s and is not described in it, and says so', async (_what, entry, why) => {
    const { agents, logged } = await load(entry);
    expect([agents, logged]).toEqual([[], [expect.stringMatching(why)]]);
  });

  it('knows an MCP server that it describes, whether it runs or not', async () => {
    const { agents, logged } = await load({ endpoint: 'http://127.0.0.1:2/mcp', ...CAN_ADD });
    expect([agents.length, logged]).toEqual([1, []]);
    expect(await agents[0]!.client.health()).toMatchObject({ status: 'unhealthy' });
    await agents[0]!.client.close();
  });

  it.each<[string, object, RegExp]>([
    ['an endpoint and a command', { endpoint: 'http://x/', command: 'y' }, /agent "a" is wrong: needs either an endpoint or a command/],
    ['neither endpoint nor command', {}, /needs either/],
    ['an endpoint that is no http', { endpoint: 'file:///x' }, /endpoint: must be an http or https URL/],
    ['a protocol nobody knows', { protocol: 'smtp' }, /protocol: "smtp" is not spoken here/],
  ])('with an MCP server of %s is refused', async (_what, entry, why) => {
    await expect(load(entry)).rejects.toMatchObject({ code: 'bad_configuration', message: expect.stringMatching(why) });
  });

  it('that is refused leaves no process behind', async () => {
    const file = join(await scratchDirectory(), 'heard');
    await writeFile(file, '');
    const good = { protocol: 'mcp', agent_id: 'b', command: process.execPath, args: [PEER, 'v1-stdio'], env: { PEER_LOG: file } };
    const source = new ConfiguredAgents(await agentsFile([good, { protocol: 'mcp', agent_id: 'Bad' }]), []);
    await expect(source.load()).rejects.toMatchObject({ code: 'bad_configuration' });
    const { started } = JSON.parse(told(file)[0]!) as { started: number };
    expect(alive(started)).toBe(false);
  });
});
