import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { running, until } from '../support/orchestrator.js';
import { type Peer, says, startPeer } from '../support/peer.js';
import { agentsFile, anyPlace, EXAMPLE, MOODY, scratchDirectory } from '../support/place.js';
import { endAll, type Outcome, runCommand, spawnCommand } from '../support/process.js';
import { noted } from '../support/recorded.js';

const EVIL = '\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe';

let peer: Peer;
beforeAll(async () => {
  const error = JSON.stringify({ success: false, error: `cannot${EVIL}`, data: { tried: EVIL } });
  peer = await startPeer({ 'speaks-to-terminals': says(error) });
});
afterAll(async () => {
  await endAll();
  await peer.close();
});

describe('agent-orchestrator orchestrate', () => {
  const remote = () => ({ agent_id: 'peer', name: 'Peer', endpoint: peer.url, capabilities: [{ name: 'speaks-to-terminals' }] });
  const app = running(anyPlace, async () => ({ AGENTS_FILE: await agentsFile([EXAMPLE, MOODY, remote()]) }));
  const orchestrate = (args: string[], more: { env?: Record<string, string>; input?: string } = {}): Promise<Outcome> =>
    runCommand(['orchestrate', '--session', 'cli', ...args], { ...more, env: { ORCHESTRATOR_URL: app.server.url, ...more.env } });

  it('tells success at a glance: agent, contract, time, data, receipt; exit 0', async () => {
    const { code, stdout, stderr } = await orchestrate(['--capability', 'echo', 'text=Hello, world!']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^✔ success {2}\d+ ms\n {2}agent +agent_example_001\n {2}contract +[0-9A-Z]{26}\n {2}data +\{\n +"message": "Echo: Hello, world!"\n +\}\n {2}receipt +default\/session\/[0-9A-Z]{26} seq \d+\n +[0-9a-f]{64}\n$/,
    );
    const [, contract] = /contract +(\w+)/.exec(stdout)!;
    const { body } = await app.get(`/v1/contracts/${contract}`);
    expect(body).toMatchObject({
      request: { session_id: 'cli', parameters: { text: 'Hello, world!' } },
      response: { status: 'completed' },
    });
  });

  it('exits with 3 where the task failed, and says that with the code and the reason', async () => {
    const nobody = await orchestrate(['--capability', 'fly']);
    expect(nobody).toMatchObject({
      code: 3,
      stderr: '',
      stdout: expect.stringMatching(/^✘ failed: no_agent: no agent offers .*\n {2}agent +none\n/),
    });
    const refuses = await orchestrate(['--agent', 'moody', '--capability', 'refuses']);
    expect(refuses).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(/agent_failed: not today.*\n {2}agent +moody\n.*\n {2}data +\{\n +"tried": 3/),
    });
    const late = await orchestrate(['-c', 'sleeps', 'ms:=5000', '--timeout', '0.2']);
    expect(late).toMatchObject({ code: 3, stdout: expect.stringContaining('agent_timeout') });
  });

  it('prints the whole answer as one JSON document with --json, with the same exit codes', async () => {
    const done = await orchestrate(['-c', 'echo', 'text=hi', '--json']);
    expect(done.stdout.trimEnd().split('\n')).toHaveLength(1);
    expect([done.code, JSON.parse(done.stdout)]).toEqual([
      0,
      {
        success: true,
        data: { message: 'Echo: hi' },
        text: null,
        files: [],
        error: null,
        error_code: null,
        contract_id: expect.any(String),
        agent_id: 'agent_example_001',
        task_id: expect.any(String),
        timestamp: expect.any(String),
        receipt: { stream: expect.any(String), seq: expect.any(Number), hash: expect.any(String) },
      },
    ]);
    const failed = await orchestrate(['-c', 'fly', '--json']);
    expect([failed.code, JSON.parse(failed.stdout)]).toEqual([3, expect.objectContaining({ success: false, error_code: 'no_agent' })]);
  });

  it('takes parameters as words, JSON, file and stdin, and sends context, intent and agent', async () => {
    const file = join(await scratchDirectory(), 'task.json');
    await writeFile(file, '{"from":"file","n":1}');
    const told = async (args: string[], input?: string) => {
      const { stdout } = await orchestrate(['-c', 'mirrors', '--json', ...args], input === undefined ? {} : { input });
      return (JSON.parse(stdout) as { data: unknown }).data;
    };
    expect(await told(['a=text', 'n:=[1,{"b":null}]'])).toEqual({ parameters: { a: 'text', n: [1, { b: null }] }, context: {} });
    expect(await told(['-p', '{"a":1,"b":2}', 'b=two', '--context', '{"who":"me"}'])).toEqual({
      parameters: { a: 1, b: 'two' },
      context: { who: 'me' },
    });
    expect(await told(['--parameters', `@${file}`, 'n:=2'])).toEqual({ parameters: { from: 'file', n: 2 }, context: {} });
    expect(await told(['-p', '-'], '{"from":"stdin","text":"Grüße"}')).toEqual({
      parameters: { from: 'stdin', text: 'Grüße' },
      context: {},
    });
    const { stdout } = await orchestrate(['-a', 'agent_example_001', '-c', 'echo', 'text=x', '--intent', 'to see', '--json']);
    const { body } = await app.get(`/v1/contracts/${(JSON.parse(stdout) as { contract_id: string }).contract_id}`);
    expect(body.request).toMatchObject({ to_agent: 'agent_example_001', metadata: { asked: { intent: 'to see' } } });
  });

  it('gets the recorded answer again with the same --key, and 409 with another task', async () => {
    const first = await orchestrate(['-c', 'echo', 'text=once', '--key', 'k1', '--json']);
    expect(await orchestrate(['-c', 'echo', 'text=once', '--key', 'k1', '--json'])).toEqual(first);
    const other = await orchestrate(['-c', 'echo', 'text=twice', '--key', 'k1']);
    expect(other).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^agent-orchestrator: key conflict: .* use a new key/),
    });
  });

  it('exits with 1 where the server refused, with title, detail and every field', async () => {
    const long = 'x'.repeat(129);
    const { code, stdout, stderr } = await runCommand(['orchestrate', '-s', long, '-c', 'y'.repeat(257), '--url', app.server.url]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^agent-orchestrator: invalid request: .*\n {2}session_id: .*128.*\n {2}capability: .*256.*\n$/);
    await app.orchestrate({ session_id: 'closed', capability: 'mirrors' });
    await app.post('/v1/sessions/closed/close');
    const closed = await runCommand(['orchestrate', '-s', 'closed', '-c', 'mirrors', '--url', app.server.url]);
    expect(closed).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^agent-orchestrator: session closed: session "closed" .* use another session_id\n$/),
    });
  });

  it('lets nothing an agent says speak to the terminal', async () => {
    for (const json of [[], ['--json']]) {
      for (const args of [
        ['-c', 'mirrors', `text=${EVIL}`],
        ['-c', 'speaks-to-terminals'],
        ['-c', `fly${EVIL}`],
      ]) {
        const { stdout, stderr } = await orchestrate([...args, ...json]);
        expect(stdout).toMatch(/owned/);
        expect(`${stdout}${stderr}`.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
      }
    }
    const { stdout } = await orchestrate(['-c', 'mirrors', `text=${EVIL}`, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ data: { parameters: { text: EVIL } } });
  });

  it('with --stream shows on stderr what the agent tells, and the answer as without', async () => {
    const pieces = ['Hello, ', 'wor', 'ld!\nSecond line', `\n${EVIL}`];
    const { code, stdout, stderr } = await orchestrate(['-c', 'tells', `pieces:=${JSON.stringify(pieces)}`, '--stream']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^✔ success[\s\S]*"said": "the whole answer"[\s\S]*receipt/)]);
    expect(stderr).toMatch(/^contract [0-9A-Z]{26} with moody\nthinking\nHello, world!\nSecond line\n.*owned.*\ndone\n$/);
    expect(stderr.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
    const failed = await orchestrate(['-c', 'tells-and-throws', '--stream']);
    expect(failed).toMatchObject({ code: 3, stdout: expect.stringContaining('agent_threw'), stderr: expect.stringMatching(/\nhalf\n$/) });
  });

  it('with --stream --json prints each event as one JSON object, the result last', async () => {
    const { code, stdout, stderr } = await orchestrate(['-c', 'tells', 'pieces:=["a"]', '--stream', '--json']);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; data: object });
    expect([code, stderr, events.map((e) => e.event)]).toEqual([0, '', ['contract', 'status', 'delta', 'status', 'result']]);
    expect(events.at(-1)!.data).toMatchObject({ success: true, data: { said: 'the whole answer' } });
  });

  it('with --stream is refused as without, and repeats what is recorded under a key', async () => {
    expect(await runCommand(['orchestrate', '-s', 'x'.repeat(129), '-c', 'y', '--stream', '--url', app.server.url])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^agent-orchestrator: invalid request: /),
    });
    const task = ['-c', 'tells', 'pieces:=["a"]', '--key', 'k2', '--json'];
    const first = await orchestrate(task);
    const again = await orchestrate([...task, '--stream']);
    const [, result] = again.stdout.trimEnd().split('\n');
    expect(JSON.parse(result!)).toEqual({ event: 'result', data: JSON.parse(first.stdout) });
  });

  it('with --stream cancels the task on Ctrl-C', async () => {
    const note = join(await scratchDirectory(), 'note');
    const args = ['orchestrate', '-s', 'ctrl-c', '-c', 'tells-and-waits', `note=${note}`, '--stream', '--url', app.server.url];
    const command = spawnCommand(args);
    await noted(note, 'started');
    command.signal('SIGINT');
    await noted(note, 'aborted');
    await command.ended;
    await until('the contract has ended', async () => {
      const { body } = await app.get('/v1/contracts?session_id=ctrl-c&type=RESPONSE');
      return body.contracts[0]?.error_code === 'cancelled';
    });
  });

  it('colours success green and failure red, not with NO_COLOR', async () => {
    const colour = async (capability: string, env: Record<string, string>) =>
      (await orchestrate(['-c', capability, 'text=x'], { env })).stdout;
    expect(await colour('echo', { FORCE_COLOR: '1' })).toContain('\x1b[32m✔ success\x1b[39m');
    expect(await colour('fly', { FORCE_COLOR: '1' })).toContain('\x1b[31m✘ failed\x1b[39m');
    expect(await colour('echo', { FORCE_COLOR: '1', NO_COLOR: '1' })).not.toContain('\x1b');
  });

  it('finds the server by --url, ORCHESTRATOR_URL or ORCHESTRATOR_PORT, in this order', async () => {
    const { url } = app.server;
    const nowhere = 'http://127.0.0.1:1';
    const task = ['orchestrate', '-s', 'where', '-c', 'echo', 'text=x'];
    expect((await runCommand([...task, '--url', url], { env: { ORCHESTRATOR_URL: nowhere } })).code).toBe(0);
    expect((await runCommand(task, { env: { ORCHESTRATOR_URL: url, ORCHESTRATOR_PORT: '1' } })).code).toBe(0);
    expect((await runCommand(task, { env: { ORCHESTRATOR_PORT: new URL(url).port } })).code).toBe(0);
    const none = await runCommand(task, { env: { ORCHESTRATOR_URL: nowhere } });
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toBe(
      'agent-orchestrator: nothing answers at http://127.0.0.1:1 (ORCHESTRATOR_URL; ECONNREFUSED): start it with `agent-orchestrator serve`, or say with --url or ORCHESTRATOR_URL where it is\n',
    );
  });
});

describe('agent-orchestrator with REQUIRE_AUTH=true', () => {
  const SECRET = 'a secret of more than thirty-two bytes, for these tests';
  const app = running(anyPlace, async () => ({ REQUIRE_AUTH: 'true', JWT_SECRET: SECRET, HOST: '127.0.0.1' }));
  const tokenFor = (scope: string) =>
    new SignJWT({ sub: 'alice', scope, exp: Math.floor(Date.now() / 1000) + 600 })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(SECRET));
  const run = (args: string[], env: Record<string, string> = {}) => runCommand(args, { env: { ORCHESTRATOR_URL: app.server.url, ...env } });
  const task = ['orchestrate', '-s', 'mine', '-c', 'echo', 'text=x'];

  it('sends the token of ORCHESTRATOR_TOKEN or --token', async () => {
    const token = await tokenFor('orchestrate contracts:read');
    expect((await run(task, { ORCHESTRATOR_TOKEN: token })).code).toBe(0);
    expect((await run(['contracts', 'mine', '--token', token], { ORCHESTRATOR_TOKEN: 'another' })).code).toBe(0);
  });

  it('says to set ORCHESTRATOR_TOKEN without one, and which right one lacks', async () => {
    const none = await run(task);
    expect(none).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^agent-orchestrator: unauthorized: .*; set ORCHESTRATOR_TOKEN\n$/),
    });
    const wrong = await run(['contracts', 'mine'], { ORCHESTRATOR_TOKEN: 'no.such.token' });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('set ORCHESTRATOR_TOKEN to another token') });
    const weak = await run(task, { ORCHESTRATOR_TOKEN: await tokenFor('contracts:read') });
    expect(weak).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/forbidden: .*scope orchestrate.*; set ORCHESTRATOR_TOKEN to a token that may/),
    });
  });
});
