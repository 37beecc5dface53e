import fs from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { OrchestratorError } from '../../src/kernel/errors.js';
import { readLock } from '../../src/ledger/data-dir-lock.system.js';
import { type Embedded, type EmbeddedOptions, openEmbedded } from '../../src/ledger/embedded.system.js';
import { Child } from '../support/embedded-child.js';

// Each test starts a PostgreSQL or several; on a busy machine that takes its time.
jest.setTimeout(90_000);

let scratch: string;
let template: string;
let undo: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ao-emb-'));
  template = join(scratch, 'template');
  await mkdir(join(template, 'pg.new', 'base'), { recursive: true, mode: 0o700 });
  await writeFile(join(template, 'pg.new', 'PG_VERSION'), '18\n'); // somebody was killed while he made the database
  await (await openEmbedded(template)).close();
});
afterEach(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** A data directory with an empty database that nobody holds. */
async function directory(name = `d${Math.random().toString(36).slice(2)}`): Promise<string> {
  await cp(template, join(scratch, name), { recursive: true });
  undo.push(() => rm(join(scratch, name), { recursive: true, force: true }));
  return join(scratch, name);
}
async function open(dir: string, options?: EmbeddedOptions): Promise<Embedded> {
  const embedded = await openEmbedded(dir, options);
  undo.push(() => embedded.close());
  return embedded;
}
async function connect({ host, port }: { host: string; port: number }): Promise<pg.Client> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  undo.push(() => client.end().catch(() => undefined));
  return client;
}
async function child(): Promise<Child> {
  const started = await Child.start();
  undo.push(() => started.kill());
  return started;
}
const count = async (client: pg.Client, table: string) => Number((await client.query(`SELECT count(*) AS n FROM ${table}`)).rows[0].n);

it('data survives close and reopen', async () => {
  const dir = await directory();
  const first = await open(dir);
  const client = await connect(first);
  await client.query('CREATE TABLE kept(n int)');
  await client.query('INSERT INTO kept SELECT generate_series(1, 1000)');
  await client.end();
  await first.close();
  expect(await count(await connect(await open(dir)), 'kept')).toBe(1000);
});

it('kill -9 loses no acknowledged commit, and the directory opens again', async () => {
  const dir = await directory();
  let acknowledged = 0;
  for (let round = 0; round < 3; round++) {
    const writer = await child();
    await writer.ask(`open ${dir}`);
    let last = Number(await writer.ask('write'));
    const until = Date.now() + 150 + 100 * round;
    while (Date.now() < until) last = Number(await writer.next());
    await writer.kill();
    last = Math.max(last, ...writer.lines.map(Number).filter(Number.isFinite));
    expect(last).toBeGreaterThan(acknowledged);
    acknowledged = last;
  }
  const client = await connect(await open(dir));
  // One row more may be there: committed, and killed before the answer.
  const [row] = (await client.query('SELECT count(*)::int AS n, max(n) AS last, bool_and(length(text) = 300) AS whole FROM written')).rows;
  expect([acknowledged, acknowledged + 1]).toContain(row.last);
  expect(row).toMatchObject({ n: row.last, whole: true });
});

it('the compiled engine runs in a thread: a long query does not stop the process', async () => {
  const owner = await child();
  const dir = await directory();
  await owner.ask(`open ${dir}`);
  const [stalled, query] = (await owner.ask('busy')).split(' ').map(Number);
  expect(query).toBeGreaterThan(500);
  expect(stalled).toBeLessThan(query! / 2);
});

it('a second opener gets data_dir_locked with the pid of the first and the port of its API', async () => {
  const dir = await directory();
  const owner = await child();
  expect(await owner.ask(`open ${dir}`)).toBe('opened');
  await expect(openEmbedded(dir)).rejects.toMatchObject({ code: 'data_dir_locked', message: expect.stringContaining(`pid ${owner.pid}`) });
  await owner.ask('port 8889');
  await expect(openEmbedded(dir)).rejects.toMatchObject({ message: expect.stringContaining('port 8889') });
  expect(await readLock(dir)).toEqual({ pid: owner.pid, port: 8889 });
  await owner.ask('close');
  await open(dir);
});

it('every commit is followed to the disk before it is acknowledged', async () => {
  const client = await connect(await open(await directory()));
  await client.query('CREATE TABLE synced(n int)');
  const fsync = jest.spyOn(fs, 'fsyncSync');
  try {
    for (let n = 0; n < 50; n++) {
      const before = fsync.mock.calls.length;
      await client.query('INSERT INTO synced VALUES ($1)', [n]);
      expect(fsync.mock.calls.length).toBeGreaterThan(before);
    }
    const before = fsync.mock.calls.length;
    await client.query('SELECT count(*) FROM synced');
    expect(fsync.mock.calls.length).toBe(before);
  } finally {
    fsync.mockRestore();
  }
});

it('a failed fsync ends the database without an answer, and what was acknowledged is there afterwards', async () => {
  const dir = await directory();
  const failures: OrchestratorError[] = [];
  const first = await open(dir, { failed: (error) => failures.push(error) });
  const client = await connect(first);
  await client.query('CREATE TABLE acknowledged(n int)');
  await client.query('INSERT INTO acknowledged VALUES (1)');
  const fsync = jest.spyOn(fs, 'fsyncSync').mockImplementation(() => {
    throw Object.assign(new Error('the disk is gone'), { code: 'EIO' });
  });
  // Not an ERROR of PostgreSQL: the row may be in the log, and a caller who sees an error would take it for not written.
  await expect(client.query('INSERT INTO acknowledged VALUES (2)')).rejects.not.toBeInstanceOf(pg.DatabaseError);
  fsync.mockRestore();
  expect(failures).toEqual([expect.objectContaining({ code: 'ledger_unavailable', message: expect.stringContaining('could not fsync') })]);
  await expect(connect(first)).rejects.toMatchObject({ code: 'ENOENT' });
  await first.close();
  const rows = (await (await connect(await open(dir))).query('SELECT n FROM acknowledged ORDER BY n')).rows;
  expect(rows[0]).toEqual({ n: 1 });
});

it('a data directory with a long path works', async () => {
  const dir = await directory('long-name-'.repeat(20));
  const embedded = await open(dir);
  expect(embedded.host.length).toBeLessThan(80);
  expect((await (await connect(embedded)).query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  await embedded.close();
  expect(await readdir(join(dir, 'run'))).not.toContain('.s.PGSQL.5432');
});

it('the directory, the database and the sockets are closed to everybody else', async () => {
  const dir = join(scratch, 'private', 'data');
  await cp(join(template, 'pg'), join(dir, 'pg'), { recursive: true });
  await chmod(join(dir, 'pg'), 0o777);
  await mkdir(join(dir, 'run'));
  await chmod(join(dir, 'run'), 0o777);
  await open(dir);
  for (const each of ['pg', 'run']) expect(((await stat(join(dir, each))).mode & 0o777).toString(8)).toBe('700');
});

it('a database whose making was killed is made again', async () => {
  expect((await readdir(template)).sort()).toEqual(['pg', 'run']);
});

it('what a killed process left does not prevent the start, and is removed', async () => {
  const dir = await directory();
  const owner = await child();
  expect(await owner.ask(`open ${dir}`)).toBe('opened');
  await owner.kill();
  expect(await readdir(join(dir, 'run'))).toContain('.s.PGSQL.5432');
  await writeFile(join(dir, 'pg', 'postmaster.pid'), ''); // as a power cut leaves it
  const embedded = await open(dir);
  await connect(embedded);
  await embedded.close();
  expect((await readdir(join(dir, 'run'))).filter((name) => !/^lock\.\d+$|\.sock$/.test(name))).toEqual([]);
});

it('no database is left in the cluster whose transaction ids nobody can freeze', async () => {
  const client = await connect(await open(await directory()));
  expect((await client.query('SELECT datname FROM pg_database')).rows).toEqual([{ datname: 'postgres' }]);
});

describe('a directory that cannot be used is refused as database_unfit, with its path and what to do:', () => {
  const refused = async (dir: string, ...words: string[]) => {
    const error = await openEmbedded(dir).then(
      () => undefined,
      (e: OrchestratorError) => e,
    );
    expect(error).toMatchObject({ code: 'database_unfit' });
    for (const word of [dir, ...words]) expect(error!.message).toContain(word);
    expect(await readLock(dir).catch(() => null)).toBeNull();
  };

  it('one that holds something else', async () => {
    const dir = join(scratch, 'photos');
    await mkdir(dir);
    for (const name of ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg', '.hidden']) await writeFile(join(dir, name), '');
    await refused(dir, 'something else (a.jpg, b.jpg, c.jpg, … (4 entries))', 'DATA_DIR');
    expect((await readdir(dir)).sort()).toEqual(['.hidden', 'a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']);
  });

  it('the data directory of a PostgreSQL server', async () => {
    await refused(join(await directory(), 'pg'), 'itself the data directory of a PostgreSQL server');
  });

  it('a file', async () => {
    const file = join(scratch, 'file');
    await writeFile(file, '');
    await refused(file, 'it is a file');
    await refused(join(file, 'below'), 'it is a file, or lies below one');
  });

  it('one where this process may not write', async () => {
    const dir = join(scratch, 'readonly');
    await mkdir(dir, { mode: 0o755 });
    await chmod(scratch, 0o755);
    const uid = process.getuid!();
    if (uid === 0) process.seteuid!(65534);
    else await chmod(dir, 0o555);
    try {
      await refused(dir, 'may not write there', 'chown');
    } finally {
      process.seteuid!(uid);
    }
  });

  it('a database of another major version', async () => {
    const dir = await directory();
    await writeFile(join(dir, 'pg', 'PG_VERSION'), '17\n');
    await refused(dir, 'PostgreSQL 17', 'embeds 18', 'the release that wrote it');
  });

  it('a database of which parts are missing', async () => {
    const dir = await directory();
    await rm(join(dir, 'pg', 'PG_VERSION'));
    await refused(dir, 'no PostgreSQL cluster', 'backup');
  });

  it('a damaged database', async () => {
    const dir = await directory();
    const control = join(dir, 'pg', 'global', 'pg_control');
    await writeFile(control, Buffer.alloc((await readFile(control)).length, 7));
    await refused(dir, 'does not start', 'backup');
  });
});
