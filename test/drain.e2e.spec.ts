import { mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { request } from 'undici';
import { embeddedDirectory, MASTER_KEY } from './support/databases.js';
import { follow, SlowCaller } from './support/events.js';
import { type Answer, type Body, until } from './support/orchestrator.js';
import { anyPlace, describeEachPlace, inspect, type Place, scratchDirectory } from './support/place.js';
import { endAll, type Process, spawnOrchestrator } from './support/process.js';
import { expectRecorded, noted, recorded } from './support/recorded.js';
import { expectSound } from './support/sound.js';

jest.setTimeout(120_000);
afterAll(endAll);

async function ask(url: string, body: Body): Promise<{ status: number; body: Answer & { code?: string }; retryAfter: unknown }> {
  const answer = await request(`${url}/v1/orchestrate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Answer, retryAfter: answer.headers['retry-after'] };
}

describeEachPlace('SIGTERM', (make) => {
  let place: Place;
  beforeAll(async () => {
    place = await make();
  });
  afterAll(async () => {
    await endAll();
    await place?.drop();
  });

  it('lets running calls finish, takes no new work, records the rest as interrupted and exits 0 within 10 s; again is harmless', async () => {
    const own = await spawnOrchestrator(place);
    const url = await own.url;
    const directory = await scratchDirectory();
    const [short, long, step] = ['short', 'long', 'step'].map((name) => join(directory, name)) as [string, string, string];
    const finishes = ask(url, { session_id: 'drain', capability: 'sleeps', parameters: { ms: 1000, note: short } });
    const never = ask(url, { session_id: 'drain', capability: 'never-answers', parameters: { note: long }, timeout_seconds: 60 });
    const steps = [{ capability: 'mirrors' }, { capability: 'never-answers', parameters: { note: step } }, { capability: 'mirrors' }];
    const planned = ask(url, { session_id: 'drain', plan: { mode: 'sequential', steps }, timeout_seconds: 60 });
    await Promise.all([short, long, step].map((note) => noted(note, 'started')));

    const told = Date.now();
    own.signal('SIGTERM');
    await until('it stops', () => own.stdout().includes('"signal":"SIGTERM"'));
    const refused = await ask(url, { session_id: 'drain', capability: 'mirrors' });
    expect([refused.status, refused.body.code, refused.retryAfter]).toEqual([503, 'shutting_down', expect.stringMatching(/^\d+$/)]);
    own.signal('SIGTERM');
    own.signal('SIGINT');

    const finished = await finishes;
    expect(finished).toMatchObject({ status: 200, body: { success: true, data: { slept: 1000 } } });
    expect(Date.now() - told).toBeLessThan(5000);
    const interrupted = await never;
    expect(interrupted).toMatchObject({ status: 200, body: { success: false, data: null, error_code: 'interrupted', agent_id: 'moody' } });
    const { body: plan } = await planned;
    const { individual_results: results } = plan.data as { individual_results: { status: string; error_code: string | null }[] };
    expect([plan.error_code, results.map(({ error_code }) => error_code)]).toEqual(['interrupted', [null, 'interrupted', null]]);
    expect(results.map(({ status }) => status)).toEqual(['completed', 'failed', 'not_run']);
    expect(await own.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - told).toBeLessThan(10_000);
    expect(own.stderr()).toBe('');
    await noted(long, 'aborted');

    await inspect(place, async (db) => {
      await expectRecorded(db, finished.body);
      await expectRecorded(db, interrupted.body);
      expect(await recorded(db, `e.type = 'contract.request'`, [])).toHaveLength(5); // the refused one is not recorded
      expect(await db.query('SELECT owner FROM instance')).toEqual([]);
      await expectSound(db);
    });
  });
});

describe('SIGTERM while tasks are followed', () => {
  it('lets them finish, tells those it interrupts so, ends every stream and exits 0 within 10 s', async () => {
    const place = await anyPlace();
    const own = await spawnOrchestrator(place);
    const url = await own.url;
    const [short, long] = [join(await scratchDirectory(), 'note'), join(await scratchDirectory(), 'note')];
    const finishes = follow(url, { session_id: 'drain', capability: 'sleeps', parameters: { ms: 1000, note: short } });
    const never = follow(url, { session_id: 'drain', capability: 'tells-and-waits', parameters: { note: long }, timeout_seconds: 60 });
    const reads = new SlowCaller(url, { session_id: 'drain', capability: 'sleeps', parameters: { ms: 1 } }); // never reads its result
    await Promise.all([noted(short, 'started'), noted(long, 'started')]);
    const told = Date.now();
    own.signal('SIGTERM');
    expect((await finishes).events.map((e) => [e.event, e.data.success ?? null])).toEqual([
      ['contract', null],
      ['result', true],
    ]);
    const { events } = await never;
    expect(events.map((e) => e.event)).toEqual(['contract', 'delta', 'result']);
    expect(events.at(-1)!.data).toMatchObject({ success: false, error_code: 'interrupted' });
    await noted(long, 'aborted');
    expect(await own.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - told).toBeLessThan(10_000);
    expect(own.stderr()).toBe('');
    reads.hangUp();
    await inspect(place, async (db) => {
      await expectRecorded(db, events.at(-1)!.data as Answer);
      await expectSound(db);
    });
    await place.drop();
  });
});

describe('SIGTERM while a client sends a request that never becomes whole', () => {
  it('still ends in good order: exit 0 within 10 s', async () => {
    const place = await anyPlace();
    const own = await spawnOrchestrator(place);
    const { port } = new URL(await own.url);
    const slow = connect(Number(port), '127.0.0.1');
    slow.on('error', () => undefined);
    await new Promise<void>((sent) => {
      slow.write('POST /v1/orchestrate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"ses', () =>
        sent(),
      );
    });
    await ask(await own.url, { session_id: 's', capability: 'mirrors' }); // by now the half request has been read
    const told = Date.now();
    own.signal('SIGTERM');
    expect(await own.ended).toEqual({ code: 0, signal: null });
    expect(Date.now() - told).toBeLessThan(10_000);
    slow.destroy();
    await inspect(place, async (db) => {
      expect(await db.query('SELECT owner FROM instance')).toEqual([]);
      await expectSound(db);
    });
    await place.drop();
  });
});

describe('a start that cannot be', () => {
  /** Exits 1 with one line on stderr that says all of these. */
  const expectRefused = async (own: Process, ...said: string[]) => {
    expect(await own.ended).toEqual({ code: 1, signal: null });
    const lines = own.stderr().split('\n');
    expect(lines).toEqual([expect.stringMatching(/^cannot start: ./), '']);
    for (const each of said) expect(lines[0]).toContain(each);
  };
  const nowhere = {
    settings: { DATABASE_URL: 'postgres://me:pass-word@127.0.0.1:9/ledger', DATA_DIR: '/nonexistent', MASTER_KEY },
    drop: async () => undefined,
  };

  it('for a bad setting names the variable, the value and what is allowed', async () => {
    await expectRefused(await spawnOrchestrator(nowhere, { ORCHESTRATOR_PORT: '99999' }), 'ORCHESTRATOR_PORT=99999', '65535');
  });

  it('for an unreachable database names the database but not its password', async () => {
    const own = await spawnOrchestrator(nowhere);
    await expectRefused(own, 'postgres://me:***@127.0.0.1:9/ledger', 'ECONNREFUSED', 'DATABASE_URL');
    expect(own.stderr()).not.toContain('pass-word');
  });

  it('for a database that resolves to nothing that answers says so', async () => {
    const place = { ...nowhere, settings: { ...nowhere.settings, DATABASE_URL: 'postgres://localhost:9/ledger' } };
    await expectRefused(await spawnOrchestrator(place), 'postgres://localhost:9/ledger', 'ECONNREFUSED', 'DATABASE_URL');
  });
});

describe('a start on a sound database', () => {
  let place: Place;
  beforeAll(async () => {
    place = await anyPlace();
  });
  afterAll(async () => {
    await endAll();
    await place?.drop();
  });
  const refusal = async (settings: Record<string, string>): Promise<string> => {
    const own = await spawnOrchestrator(place, settings);
    expect(await own.ended).toEqual({ code: 1, signal: null });
    expect(own.stderr()).toMatch(/^cannot start: [^\n]+\n$/); // one line, no stack
    return own.stderr();
  };

  it('with a broken agents file ends with one line that names it, and leaves the database sound', async () => {
    const directory = await scratchDirectory();
    const file = join(directory, 'agents.json');
    await writeFile(file, '{"agents": [{"module": "./a.js"}, ]}');
    expect(await refusal({ AGENTS_FILE: file })).toContain(`${file}: `);
    await writeFile(file, '{"agents": [{"module": "./a.js"}]}');
    await writeFile(join(directory, 'a.js'), 'export default class { execute() { return this ');
    expect(await refusal({ AGENTS_FILE: file })).toContain('./a.js');
    await inspect(place, expectSound);
  });

  it('on a port in use ends with one line that names it', async () => {
    const taken = createServer();
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening));
    const { port } = taken.address() as AddressInfo;
    try {
      const line = await refusal({ ORCHESTRATOR_PORT: String(port) });
      expect(line).toContain(`127.0.0.1:${port}`);
      expect(line).toContain('ORCHESTRATOR_PORT');
    } finally {
      await new Promise((closed) => taken.close(closed));
    }
    await inspect(place, expectSound);
  });
});

(process.env['AO_TEST_EMBEDDED_TEMPLATE'] ? describe : describe.skip)('an embedded data directory', () => {
  it('in use stops a second start with one line that names directory, process, port and what to do; the first goes on', async () => {
    const directory = await embeddedDirectory();
    const place: Place = { settings: { DATA_DIR: directory, MASTER_KEY }, drop: async () => undefined };
    const first = await spawnOrchestrator(place);
    const url = await first.url;
    const second = await spawnOrchestrator(place);
    expect(await second.ended).toEqual({ code: 1, signal: null });
    expect(second.stderr()).toMatch(/^cannot start: [^\n]+\n$/);
    for (const each of [directory, `pid ${first.pid}`, `port ${new URL(url).port}`, 'DATA_DIR']) expect(second.stderr()).toContain(each);
    expect((await ask(url, { session_id: 's', capability: 'mirrors' })).body.success).toBe(true);
    first.signal('SIGTERM');
    expect(await first.ended).toEqual({ code: 0, signal: null });
    await inspect(place, expectSound);
  });

  it('that cannot be one stops the start with one line that names it', async () => {
    const directory = join(await scratchDirectory(), 'file');
    await mkdir(directory);
    await writeFile(join(directory, 'letter.txt'), 'not a database');
    const own = await spawnOrchestrator({ settings: { DATA_DIR: join(directory, 'letter.txt'), MASTER_KEY }, drop: async () => undefined });
    expect(await own.ended).toEqual({ code: 1, signal: null });
    expect(own.stderr()).toMatch(/^cannot start: [^\n]+\n$/);
    expect(own.stderr()).toContain('letter.txt');
  });
});
