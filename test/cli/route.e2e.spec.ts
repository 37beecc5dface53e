import { running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';
import { endAll, type Outcome, runCommand } from '../support/process.js';

afterAll(endAll);

describe('agent-orchestrator route', () => {
  const app = running(anyPlace);
  const route = (...args: string[]): Promise<Outcome> => runCommand(['route', ...args, '--url', app.server.url]);

  it('says who would get it, and with --explain why', async () => {
    const { code, stdout, stderr } = await route('put it into capital letters', '--explain');
    expect([code, stderr]).toEqual([0, '']);
    const [head, ...lines] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^→ agent_example_001 as uppercase {2}[\d.]+ ms$/);
    expect(lines).toEqual(
      expect.arrayContaining(['Rule "uppercase" means uppercase with 0.9: capital letters', 'Candidates:', '  agent_example_001']),
    );
    expect((await route('--capability', 'echo', '--param', 'text=hi')).stdout).toMatch(/^→ agent_example_001 as echo {2}[\d.]+ ms\n$/);
  });

  it('ends with 3 when nobody would, or the parameters do not fit', async () => {
    const nobody = await route('paint my house');
    expect([nobody.code, nobody.stdout]).toEqual([3, expect.stringMatching(/^✘ no_agent: nobody fits this message/)]);
    const unfit = await route('--capability', 'echo', '-P', 'text:=7');
    expect([unfit.code, unfit.stdout]).toEqual([3, expect.stringMatching(/^✘ invalid_input: .*\/parameters\/text must be string/)]);
  });

  it('prints what the API answers with --json, and records nothing', async () => {
    const { code, stdout } = await route('put it into capital letters', '--json', '--strategy', 'simple');
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ capability: 'uppercase', routing: expect.objectContaining({ strategy: 'simple' }) }),
    ]);
    expect((await app.get('/v1/contracts')).body.total).toBe(0);
  });

  it('ends with 1 when nothing is asked, or nonsense', async () => {
    expect(await route()).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining('say what is wanted, or name it') });
    expect(await route('x', '--strategy', 'dice')).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining('strategy') });
  });
});
