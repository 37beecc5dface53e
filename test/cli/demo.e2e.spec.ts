import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchDirectory } from '../support/place.js';
import { endAll, runCommand, type Spawned, spawnCommand } from '../support/process.js';
import { until } from '../support/until.js';

/** The goal is 15 s on a machine with nothing else to do; the tests have more to do. */
const BOUND_MS = 120_000;

let TMPDIR: string;
beforeEach(async () => {
  TMPDIR = await scratchDirectory();
});
afterEach(async () => {
  expect(await readdir(TMPDIR)).toEqual([]); // whatever happened
});
afterAll(endAll);

/** The server of a demo that is under way, once it listens. */
async function serverOf(demo: Spawned): Promise<number> {
  let pid: number | undefined;
  let over = false;
  void demo.ended.then(() => {
    over = true;
  });
  await until(
    'the server of the demo listens',
    async () => {
      if (over) throw new Error(`the demo ended: ${demo.stdout()}${demo.stderr()}`);
      const [stage] = await readdir(TMPDIR);
      const lock = await readFile(join(TMPDIR, stage ?? '', 'data/ledger/run/lock.1'), 'utf8').catch(() => '');
      const holder = lock === '' ? {} : (JSON.parse(lock) as { pid?: number; port?: number });
      if (holder.port) pid = holder.pid;
      return pid !== undefined;
    },
    BOUND_MS,
  );
  return pid!;
}

describe('agent-orchestrator demo', () => {
  it(
    'plays the whole flow, exits with 0 and leaves nothing behind',
    async () => {
      const since = performance.now();
      const { code, stdout, stderr } = await runCommand(['demo'], {
        env: { TMPDIR, ORCHESTRATOR_PORT: 'nonsense', DATABASE_URL: 'nonsense' },
      });
      process.stdout.write(`demo: ${((performance.now() - since) / 1000).toFixed(1)} s\n`);
      expect([code, stderr]).toEqual([0, '']);
      const lines = [
        '$ PORT=0 node examples/trace-server/server.mjs &',
        /\$ TRACE_URL=http:\S+ MEMAGENT_URL=http:\S+ ORCHESTRATOR_PORT=0 agent-orchestrator serve &/,
        /listens on http:\/\/127\.0\.0\.1:\d+, healthy/,
        /\$ curl -s http:\/\/127\.0\.0\.1:\d+\/v1\/orchestrate -H 'content-type: application\/json' -d '\{/,
        '"message": "Echo: Hello, world!"',
        "$ agent-orchestrator orchestrate --session demo --capability uppercase text='prove it'",
        '"message": "PROVE IT"',
        '$ PORT=0 node examples/agents/a2a-math/agent.mjs &',
        /acp-beeai-greeter +http:\/\/127\.0\.0\.1:\d+$/m,
        /\$ curl -s http:\/\/127\.0\.0\.1:\d+\/v1\/agents -H 'content-type: application\/json' -d '\{"url":"http:/,
        /http-greeter +speaks http +and offers greet$/m,
        /math-agent +speaks a2a +and offers add, divide$/m,
        /example\.math +speaks acp-agntcy +and offers example\.math$/m,
        /greeter +speaks acp-beeai +and offers greeter$/m,
        /invoke-greeter +speaks acp-invoke +and offers generate_greeting$/m,
        /mcp-math +speaks mcp +and offers add, multiply, divide$/m,
        /http-greeter +\{"message":"Hello, Ada!"\}/,
        /math-agent +\{"result":3\}/,
        /example\.math +\{"result":5\}/,
        /greeter +\{"text":"Hello, Ada!"\}/,
        /invoke-greeter +\{"greeting":"Bonjour, Ada!"\}/,
        /mcp-math +\{"result":42\}/,
        '$ agent-orchestrator orchestrate --session demo --capability translate text=Hello to=fr',
        /✘ failed: no_agent: /,
        'exit 3, ',
        '$ agent-orchestrator contracts demo',
        /translate +failed/,
        '$ agent-orchestrator compress demo',
        /extracted, of seq 1 to 6/,
        '$ agent-orchestrator verify',
        /^ {2}VALID$/m,
        '$ agent-orchestrator trace audit --session demo',
        'exit 0, ',
        '$ kill %1',
        'stopped in good order',
        'ALTER TABLE event DISABLE TRIGGER',
        '$ DATA_DIR=data/forged agent-orchestrator verify',
        /INVALID: first at event [0-9A-Z]{26}/,
        'exit 2, ',
        /✔ 15 steps in \d+\.\d s/,
      ];
      let at = 0;
      for (const line of lines) {
        const found = typeof line === 'string' ? stdout.indexOf(line, at) : stdout.slice(at).search(line) + at;
        expect([line, found >= at]).toEqual([line, true]);
        at = found;
      }
      expect(stdout).not.toContain('\x1b');
      const forged = /rewritten: (\w+)/.exec(stdout)![1];
      expect(stdout).toContain(`INVALID: first at event ${forged}, `);
    },
    BOUND_MS,
  );

  it(
    'prints one JSON object for each step with --json, and a summary',
    async () => {
      const { code, stdout, stderr } = await runCommand(['demo', '--json'], { env: { TMPDIR } });
      expect([code, stderr]).toEqual([0, '']);
      const told = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(told.map(({ step, exit_code }) => [step, exit_code])).toEqual([
        [1, undefined],
        [2, undefined],
        [3, undefined],
        [4, 0],
        [5, undefined],
        [6, undefined],
        [7, undefined],
        [8, 3],
        [9, 0],
        [10, 0],
        [11, 0],
        [12, 0],
        [13, 0],
        [14, undefined],
        [15, 2],
        [undefined, undefined],
      ]);
      for (const step of told.slice(0, -1)) {
        expect(step).toMatchObject({ title: expect.any(String), typed: expect.any(Array), milliseconds: expect.any(Number) });
      }
      expect(told[2]).toMatchObject({ answer: { success: true, data: { message: 'Echo: Hello, world!' } } });
      expect(told[8]).toMatchObject({
        answer: { session_id: 'demo', contracts: [{ status: 'completed' }, { status: 'completed' }, { status: 'failed' }] },
      });
      expect(told[10]).toMatchObject({ answer: { verdict: 'valid' } });
      expect(told[11]).toMatchObject({ answer: { verdict: 'same' } });
      const [forged] = (told[13]!['answer'] as { forged: string[] }).forged;
      expect(told[14]).toMatchObject({ answer: { verdict: 'invalid', first: { event_id: forged } } });
      expect(told.at(-1)).toEqual({ ok: true, steps: 15, milliseconds: expect.any(Number) });
    },
    BOUND_MS,
  );

  it(
    'exits with 1 and says at which step and why, when something is not as it must be',
    async () => {
      const demo = spawnCommand(['demo', '--json'], { env: { TMPDIR } });
      process.kill(await serverOf(demo), 'SIGKILL');
      expect(await demo.ended).toEqual({ code: 1, signal: null });
      expect(demo.stderr()).toMatch(/^✘ the demo failed at step \d, ".*": ./);
      const last = demo.stdout().trimEnd().split('\n').at(-1)!;
      expect(JSON.parse(last)).toEqual({
        ok: false,
        step: expect.any(Number),
        title: expect.any(String),
        error: expect.stringMatching(/./),
      });
    },
    BOUND_MS,
  );

  it(
    'cleans up when it is ended by Ctrl-C, and exits with 130',
    async () => {
      const demo = spawnCommand(['demo'], { env: { TMPDIR } });
      const server = await serverOf(demo);
      demo.signal('SIGINT');
      demo.signal('SIGINT'); // under npm it comes twice
      expect(await demo.ended).toEqual({ code: 130, signal: null });
      expect(() => process.kill(server, 0)).toThrow('ESRCH');
      expect(demo.stderr()).toBe('');
    },
    BOUND_MS,
  );

  it(
    'cleans up when nobody reads it any more, and exits with 0',
    async () => {
      const demo = spawnCommand(['demo'], { env: { TMPDIR } });
      const server = await serverOf(demo);
      demo.closeStdout();
      expect(await demo.ended).toEqual({ code: 0, signal: null });
      expect(() => process.kill(server, 0)).toThrow('ESRCH');
    },
    BOUND_MS,
  );

  it(
    'cleans up when it is told to end while the database is being made, and exits with 143',
    async () => {
      const demo = spawnCommand(['demo'], { env: { TMPDIR } });
      await until(
        'it has begun',
        async () => (await readdir(TMPDIR, { recursive: true })).some((path) => path.endsWith('/data/ledger/run')),
        BOUND_MS,
      );
      demo.signal('SIGTERM');
      expect(await demo.ended).toEqual({ code: 143, signal: null });
    },
    BOUND_MS,
  );

  it('says where it could not even begin', async () => {
    const { code, stderr } = await runCommand(['demo'], { env: { TMPDIR: join(TMPDIR, 'none') } });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^agent-orchestrator: the demo needs a temporary directory: ENOENT/)]);
    expect(stderr).not.toMatch(/\n +at /);
  });
});
