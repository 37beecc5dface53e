import { createServer } from 'node:net';
import request from 'supertest';
import { describeEachPlace, type Place } from '../support/place.js';
import { endAll, type Process, runCommand, type Spawned, spawnCommand, spawnOrchestrator } from '../support/process.js';
import { until } from '../support/until.js';

interface Item {
  contract_id: string;
  contract_type: string;
  in_reply_to: string | null;
  seq: number;
}

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return String(port);
}

const linesOf = (text: string): Item[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Item);

describeEachPlace('agent-orchestrator contracts --follow', (make) => {
  let place: Place;
  let server: Process;
  let port: string;
  /** How the command finds the server: by its URL, or by who holds the embedded directory, on whatever port. */
  let env: Record<string, string>;

  const boot = async () => {
    server = await spawnOrchestrator(place, { ORCHESTRATOR_PORT: port });
    await server.url;
  };
  const stop = async () => {
    server.signal('SIGTERM');
    expect(await server.ended).toEqual({ code: 0, signal: null });
  };
  const ask = async (session_id: string, count: number) => {
    for (let n = 0; n < count; n++) {
      const { status } = await request(await server.url)
        .post('/v1/orchestrate')
        .send({ session_id, capability: 'mirrors', parameters: { n } });
      expect(status).toBe(200);
    }
  };
  const follow = (session: string, ...args: string[]): Spawned => spawnCommand(['contracts', session, '--follow', ...args], { env });
  const interrupted = async (following: Spawned) => {
    following.signal('SIGINT');
    return following.ended;
  };

  beforeAll(async () => {
    place = await make();
    const embedded = place.settings.DATABASE_URL === undefined;
    port = embedded ? '0' : await freePort();
    env = embedded ? { DATA_DIR: place.settings.DATA_DIR } : { ORCHESTRATOR_URL: `http://127.0.0.1:${port}` };
    await boot();
  }, 60_000);
  afterAll(async () => {
    await endAll();
    await place.drop();
  });

  it('shows every event once and in order while others write and the server is started again', async () => {
    await ask('busy', 60); // more than a page
    const following = follow('busy', '--json');
    await Promise.all([ask('busy', 40), ask('busy', 40), ask('another', 10)]);
    await until('it has caught up', () => linesOf(following.stdout()).length >= 200);
    expect(following.stderr()).toBe('');

    await stop();
    await until('it says that the server is away', () => following.stderr().includes('waiting for the server: '));
    await boot();
    await Promise.all([ask('busy', 20), ask('busy', 20)]);
    await until('it has caught up again', () => linesOf(following.stdout()).length >= 360, 30_000);
    expect(await interrupted(following)).toEqual({ code: 0, signal: null });

    const seen = linesOf(following.stdout());
    expect(seen.map((item) => item.seq)).toEqual(Array.from({ length: 360 }, (_, i) => i + 1));
    const { body } = await request(await server.url).get('/v1/contracts?session_id=busy&limit=1000');
    expect(seen.map((item) => item.contract_id)).toEqual((body.contracts as Item[]).map((item) => item.contract_id));
    expect(following.stderr().trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^agent-orchestrator contracts: waiting for the server: ./),
      'agent-orchestrator contracts: the server answers again',
    ]);
  }, 90_000);

  it('waits for a session that is not there yet, and shows both halves as lines', async () => {
    const following = follow('later');
    await until('it waits', () => following.stderr().includes('there is no session "later" yet; waiting for its first contract'));
    await ask('later', 1);
    await until('both halves are shown', () => following.stdout().split('\n').length === 4);
    expect(await interrupted(following)).toEqual({ code: 0, signal: null });
    const [heading, asked, answered] = following.stdout().split('\n');
    expect(heading).toMatch(/^seq +time +contract +agent +capability +status +duration +error$/);
    expect(asked).toMatch(/^1 +\S+ {2}([0-9A-Z]{26}) {2}moody +mirrors +asked$/);
    expect(answered).toMatch(new RegExp(`^2 +\\S+  ${/[0-9A-Z]{26}/.exec(asked!)![0]}  moody +mirrors +completed  \\d+ ms$`));
  });

  it('begins with the newest --limit of those that are there', async () => {
    await ask('old', 5);
    const following = follow('old', '--json', '--limit', '3');
    await until('they are shown', () => linesOf(following.stdout()).length >= 3);
    await ask('old', 1);
    await until('the new ones are shown', () => linesOf(following.stdout()).length >= 5);
    following.signal('SIGTERM');
    expect(await following.ended).toEqual({ code: 0, signal: null });
    expect(linesOf(following.stdout()).map((item) => item.seq)).toEqual([8, 9, 10, 11, 12]);
  });

  it('finds the same server as verify and the others do', async () => {
    const { code, stdout } = await runCommand(['contracts', 'old', '--json'], { env });
    expect([code, (JSON.parse(stdout) as { contracts: unknown[] }).contracts.length]).toEqual([0, 6]);
    const verified = await runCommand(['verify', '--session', 'old', '--json'], {
      env: { ...env, ...(place.settings as Record<string, string>) },
    });
    expect([verified.code, JSON.parse(verified.stdout)]).toEqual([
      0,
      expect.objectContaining({ verdict: 'valid', scope: 'session', events: 12 }),
    ]);
  });
});
