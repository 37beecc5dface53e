import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { nap } from '../support/nap.js';
import { running, until } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';
import { endAll, type Outcome, runCommand, spawnCommand } from '../support/process.js';

const EVIL = '\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe';

interface Item {
  contract_id: string;
  contract_type: string;
  capability: string | null;
  status: string;
  seq: number;
}

afterAll(endAll);

describe('agent-orchestrator contracts', () => {
  const app = running(anyPlace);
  const contracts = (session: string, ...args: string[]): Promise<Outcome> =>
    runCommand(['contracts', session, '--url', app.server.url, ...args]);

  it('shows a line for each contract: when, which, who, what, how it ended, how long it took, and why not', async () => {
    const echo = await app.orchestrate({ session_id: 'three', capability: 'echo', parameters: { text: 'x' } });
    await app.orchestrate({ session_id: 'three', capability: 'sleeps', parameters: { ms: 120 } });
    await app.orchestrate({ session_id: 'three', capability: 'translate' });
    const { code, stdout, stderr } = await contracts('three');
    expect([code, stderr]).toEqual([0, '']);
    const [heading, ...lines] = stdout.trimEnd().split('\n');
    expect(heading).toMatch(/^time +contract +agent +capability +status +duration +error$/);
    expect(lines).toEqual([
      expect.stringMatching(new RegExp(`^[-0-9]{10}T[0-9:.]{12}Z  ${echo.contract_id}  agent_example_001  echo +completed  \\d+ ms$`)),
      expect.stringMatching(/ moody +sleeps +completed {2}[1-9]\d{2,} ms$/),
      expect.stringMatching(/ - +translate +failed +\d+ ms +no_agent: no agent offers the capability "translate".*…$/),
    ]);
    const columns = (line: string) => [line.indexOf('  ', 26), line.search(/completed|failed|status/)];
    for (const line of lines) expect(columns(line)[1]).toBe(columns(heading!)[1]);
  });

  it('shows an open contract as pending', async () => {
    const { parameters, wake } = await nap();
    const asking = app.orchestrate({ session_id: 'open', capability: 'sleeps', parameters });
    await until('it is recorded', async () => (await app.get('/v1/contracts?session_id=open')).body.total === 1);
    const { stdout } = await contracts('open');
    expect(stdout).toMatch(/moody {2}sleeps {6}pending$/m);
    await wake();
    await asking;
  });

  it('shows parameters and results with --full, also of what failed', async () => {
    await app.orchestrate({ session_id: 'full', capability: 'echo', parameters: { text: 'in' }, intent: 'to see' });
    await app.orchestrate({ session_id: 'full', capability: 'refuses' });
    const { stdout } = await contracts('full', '--full');
    expect(stdout).toMatch(/ {4}parameters \{\n {6}"text": "in"\n {4}\}\n/);
    expect(stdout).toMatch(/ {4}asked \{\n(.*\n)*? {6}"intent": "to see"\n/);
    expect(stdout).toMatch(/ {4}result \{\n {6}"message": "Echo: in"\n {4}\}\n/);
    expect(stdout).toMatch(/agent_failed: not today\n(.*\n)*? {4}result \{\n {6}"tried": 3/);
  });

  it('draws tasks as trees with --tree: steps below their plan, also those nobody was asked for', async () => {
    const mirrors = { capability: 'mirrors' };
    await app.orchestrate({ session_id: 'tree', ...mirrors });
    const inner = { name: 'both', plan: { mode: 'parallel', steps: [{ ...mirrors, name: 'left' }, { capability: 'refuses' }] } };
    const missing = { ...mirrors, parameters: { x: { $from: 'left.result.gone' } } };
    const steps = [mirrors, inner, { ...missing, on_failure: 'continue' }, { ...missing, name: 'points' }, mirrors];
    await app.orchestrate({ session_id: 'tree', plan: { mode: 'sequential', steps } });
    const { code, stdout } = await contracts('tree', '--tree');
    const id = '[0-9A-Z]{26}';
    expect([code, stdout.trimEnd().split('\n')]).toEqual([
      0,
      [
        expect.stringMatching(new RegExp(`^task ${id}$`)),
        expect.stringMatching(new RegExp(`^└─ mirrors by moody  completed  \\d+ ms  ${id}$`)),
        expect.stringMatching(new RegExp(`^task ${id}$`)),
        expect.stringMatching(new RegExp(`^└─ plan of 5, sequential  failed  \\d+ ms  step_failed: step "points" failed  ${id}$`)),
        expect.stringMatching(/^ {3}├─ 1 step1: mirrors by moody {2}completed {2}/),
        expect.stringMatching(/^ {3}├─ 2\.1 left: mirrors by moody {2}completed {2}/),
        expect.stringMatching(/^ {3}├─ 2\.2 step2_2: refuses by moody {2}failed {2}\d+ ms {2}agent_failed: not today {2}/),
        expect.stringMatching(/^ {3}├─ 3 step3: failed, it points at "left.result.gone"/),
        expect.stringMatching(/^ {3}├─ 4 points: failed, it points at "left.result.gone"/),
        expect.stringMatching(/^ {3}└─ 5 step5: not run, step "points" failed$/),
      ],
    ]);
    expect((await contracts('tree', '--tree', '--limit', '1')).stdout.match(/^task/gm)).toHaveLength(1);
    expect((await contracts('tree', '--tree', '--json')).code).toBe(1);
    expect((await contracts('not there', '--tree')).code).toBe(5);
  });

  it('reads through all pages, and only the newest with --limit', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 130; n++)
      ids.push((await app.orchestrate({ session_id: 'long', capability: 'mirrors', parameters: { n } })).contract_id);
    const listed = async (...args: string[]) => {
      const { code, stdout } = await contracts('long', '--json', ...args);
      const { session_id, contracts: items } = JSON.parse(stdout) as { session_id: string; contracts: Item[] };
      expect([code, session_id]).toEqual([0, 'long']);
      return items.map((item) => item.contract_id);
    };
    expect(await listed()).toEqual(ids);
    expect(await listed('--limit', '3')).toEqual(ids.slice(-3));
    expect(await listed('-n', '125')).toEqual(ids.slice(-125));
    expect(await listed('--limit', '0')).toEqual([]);
    const { stdout } = await contracts('long');
    expect(stdout.trimEnd().split('\n')).toHaveLength(131);
  });

  it('gives with --json what the API gives', async () => {
    await app.orchestrate({ session_id: 'same', capability: 'mirrors', parameters: { a: [1, { b: null }] } });
    const { stdout } = await contracts('same', '--json');
    const { body } = await app.get('/v1/contracts?session_id=same&type=REQUEST');
    expect(JSON.parse(stdout)).toEqual({ session_id: 'same', contracts: body.contracts });
  });

  it('exits with 5 where there is no such session, and says so', async () => {
    const expected = {
      code: 5,
      stdout: '',
      stderr: 'agent-orchestrator contracts: there is no session "nobody"; a session begins with its first task\n',
    };
    expect(await contracts('nobody')).toEqual(expected);
    expect(await contracts('nobody', '--json')).toEqual(expected);
  });

  it('exits with 1 where nothing answers or the server refuses', async () => {
    const away = await runCommand(['contracts', 'x', '--url', 'http://127.0.0.1:1']);
    expect(away).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('nothing answers at http://127.0.0.1:1 (--url; ECONNREFUSED)'),
    });
    expect(await runCommand(['contracts', 'x', '--follow', '--url', 'http://127.0.0.1:1'])).toEqual(away);
    const refused = await contracts('x'.repeat(129));
    expect(refused).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^agent-orchestrator: invalid request: session_id: /),
    });
  });

  it('lets nothing that was recorded speak to the terminal', async () => {
    const session = 'bidi \u202egnp.exe';
    await app.orchestrate({ session_id: session, capability: 'mirrors', parameters: { text: EVIL, [EVIL]: 1 }, context: { text: EVIL } });
    await app.orchestrate({ session_id: session, capability: `fly${EVIL}` });
    for (const args of [[], ['--full'], ['--json']]) {
      const { code, stdout } = await contracts(session, ...args);
      expect([code, stdout]).toEqual([0, expect.stringContaining('owned')]);
      expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
    }
    const following = spawnCommand(['contracts', session, '--follow', '--full', '--url', app.server.url]);
    await until('all is shown', () => following.stdout().split('owned').length > 6);
    following.signal('SIGINT');
    await following.ended;
    expect(following.stdout().replaceAll('\n', '')).not.toMatch(/\p{C}/u);
    const { stderr } = await contracts(`nobody\u202e`);
    expect(stderr.replaceAll('\n', '')).not.toMatch(/\p{C}/u);
  });

  it('ends quietly when nobody reads on, as before `head`', async () => {
    await app.orchestrate({ session_id: 'head', capability: 'mirrors' });
    const args = [join(__dirname, '../../dist/cli.js'), 'contracts', 'head', '--follow', '--url', app.server.url];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (text) => (stderr += text));
    const ended = new Promise((resolve) => child.once('close', resolve));
    await new Promise((some) => child.stdout.once('data', some));
    child.stdout.destroy();
    await app.orchestrate({ session_id: 'head', capability: 'mirrors' });
    expect([await ended, stderr]).toEqual([0, '']);
  });
});
