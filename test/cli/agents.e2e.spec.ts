import { capabilities, type DescribingAgent, startDescribing } from '../support/describing-agent.js';
import { running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';
import { endAll, type Outcome, runCommand } from '../support/process.js';

afterAll(endAll);

/** Each step is a command of its own. */
jest.setTimeout(120_000);

describe('agent-orchestrator agents', () => {
  const app = running(anyPlace);
  let agent: DescribingAgent;
  beforeAll(async () => {
    agent = await startDescribing({ '/capabilities': capabilities('greeter', { description: 'evil \x1b[2J' }) });
  });
  afterAll(() => agent.close());
  const agents = (...args: string[]): Promise<Outcome> => runCommand(['agents', ...args, '--url', app.server.url]);

  it('lists them when nothing else is asked', async () => {
    const { code, stdout, stderr } = await runCommand(['agents', 'list', '--url', app.server.url]);
    expect([code, stderr]).toEqual([0, '']);
    const [heading, ...lines] = stdout.trimEnd().split('\n');
    expect(heading).toMatch(/^agent +status +protocol +version +done +failed +capabilities$/);
    expect(lines[0]).toMatch(/^agent_example_001 +available +in-process +1\.0\.0 +0 +0 +echo, uppercase$/);
    expect((await agents()).stdout).toBe(stdout);
  });

  it('adds one by its address, shows it without its control characters, stops, starts and removes it', async () => {
    expect(await agents('add', agent.url)).toEqual({ code: 0, stdout: 'greeter (http) registered: greeter-greets\n', stderr: '' });
    expect((await agents('add', agent.url)).stdout).toContain('was registered already');
    const shown = await agents('show', 'greeter');
    expect(shown.stdout).toMatch(/^agent_id greeter\n/);
    expect(shown.stdout).toContain(`"url": "${agent.url}"`);
    expect(shown.stdout).not.toContain('\x1b');
    expect((await agents('refresh')).stdout).toBe(`${agent.url}: greeter\n`);
    expect((await agents('stop', 'greeter')).stdout).toBe('greeter is stopped\n');
    expect((await agents()).stdout).toMatch(/^greeter +stopped /m);
    expect((await agents('start', 'greeter')).stdout).toBe('greeter is available\n');
    expect((await agents('remove', 'greeter')).stdout).toBe('greeter has retired\n');
    expect((await agents('show', 'greeter')).stdout).toMatch(/^status retired$/m);
    expect((await agents('show', 'greeter', '--at', '0')).stdout).toMatch(/^status unknown$/m);
  });

  it('prints what the API answers with --json', async () => {
    const { stdout } = await agents('list', '--json');
    expect(JSON.parse(stdout)).toEqual((await app.get('/v1/agents')).body);
  });

  it.each<[string, string[], RegExp]>([
    ['nobody lives at', ['add', 'http://127.0.0.1:9999'], /agent unreachable: .*ECONNREFUSED/],
    ['nobody knows', ['show', 'nobody'], /not found: there is no agent "nobody"/],
    ['stands in the agents file', ['remove', 'moody'], /agent conflict: agent "moody" stands in the agents file/],
  ])('says why not, when it is about one that %s', async (_, args, says) => {
    const { code, stdout, stderr } = await agents(...args);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(says);
  });
});
