import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DataDirLock, type LockOptions, lockDataDir, readLock } from '../../src/ledger/data-dir-lock.system.js';
import { isListening, listenIn, shortPath } from '../../src/ledger/embedded/unix-socket.system.js';
import { Child } from '../support/embedded-child.js';

let scratch: string;
let held: DataDirLock[] = [];
let children: Child[] = [];

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ao-lock-'));
});
afterEach(async () => {
  for (const lock of held) await lock.release();
  for (const child of children) await child.kill();
  held = [];
  children = [];
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function directory(name = `d${Math.random().toString(36).slice(2)}`): Promise<string> {
  await mkdir(join(scratch, name, 'run'), { recursive: true });
  return join(scratch, name);
}
async function take(dir: string, options?: LockOptions): Promise<DataDirLock> {
  const lock = await lockDataDir(dir, options);
  held.push(lock);
  return lock;
}
async function child(): Promise<Child> {
  const started = await Child.start();
  children.push(started);
  return started;
}
const files = async (dir: string) => (await readdir(join(dir, 'run'))).sort();

it('a second opener is refused and told who holds the directory, where his API is and what to do', async () => {
  const dir = await directory();
  const lock = await take(dir);
  const other = await child();
  expect(await other.ask(`lock ${dir} 0`)).toBe(
    `refused data_dir_locked the data directory ${dir} is in use by another process, pid ${process.pid} on ${hostname()}, since ${(await holder(dir)).since}: stop it, or give this one another DATA_DIR`,
  );
  await lock.setHttpPort(8888);
  expect(await other.ask(`lock ${dir} 0`)).toContain('use its HTTP API on port 8888, or stop it');
});

it('a process does not get the lock twice', async () => {
  const dir = await directory();
  await take(dir);
  await expect(lockDataDir(dir)).rejects.toMatchObject({ code: 'data_dir_locked', message: expect.stringContaining('this very process') });
});

it('a released lock is free at once, and nothing but its own record is left', async () => {
  const dir = await directory();
  const lock = await take(dir);
  await lock.release();
  expect(await files(dir)).toEqual(['lock.1']);
  expect(await (await child()).ask(`lock ${dir} 0`)).toBe('locked');
});

it('the lock of a killed process is taken over; of a stopped one it is not', async () => {
  const dir = await directory();
  const other = await child();
  await other.ask(`lock ${dir} 0`);
  other.signal('SIGSTOP');
  await expect(lockDataDir(dir)).rejects.toMatchObject({ message: expect.stringContaining(`pid ${other.pid} `) });
  await other.kill();
  await take(dir);
});

it('the pid in the lock does not count: a dead holder with the pid of a living process is dead', async () => {
  const dir = await directory();
  const other = await child();
  await other.ask(`lock ${dir} 0`);
  await other.kill();
  await writeFile(join(dir, 'run', 'lock.1'), JSON.stringify({ ...(await holder(dir)), pid: process.pid }));
  await take(dir);
});

it('of eight processes that race for the lock of a dead one exactly one gets it', async () => {
  const dir = await directory();
  const racers = await Promise.all(Array.from({ length: 8 }, child));
  for (let round = 0; round < 6; round++) {
    const start = Date.now() + 30;
    const answers = await Promise.all(racers.map((racer) => racer.ask(`lock ${dir} ${start}`)));
    expect(answers.filter((answer) => answer === 'locked')).toHaveLength(1);
    expect(answers.filter((answer) => answer.startsWith('refused data_dir_locked'))).toHaveLength(7);
    const winner = answers.indexOf('locked');
    expect((await readLock(dir))?.pid).toBe(racers[winner]!.pid);
    await racers[winner]!.kill();
    racers[winner] = await child();
  }
});

it('readLock names the living holder and his port, and nobody else', async () => {
  const dir = await directory();
  expect(await readLock(join(dir, 'nothing'))).toBeNull();
  expect(await readLock(dir)).toBeNull();
  const lock = await take(dir);
  expect(await readLock(dir)).toEqual({ pid: process.pid, port: null });
  await lock.setHttpPort(8888);
  expect(await readLock(dir)).toEqual({ pid: process.pid, port: 8888 });
  await lock.release();
  expect(await readLock(dir)).toBeNull();
  const other = await child();
  await other.ask(`lock ${dir} 0`);
  expect(await readLock(dir)).toEqual({ pid: other.pid, port: null });
  await other.kill();
  expect(await readLock(dir)).toBeNull();
});

it('what killed processes left does not pile up', async () => {
  const dir = await directory();
  for (let n = 0; n < 12; n++) await (await take(dir)).release();
  const abandoned = await listenIn(join(dir, 'run'), 'abandoned.sock'); // its process will be gone, the file not
  await writeFile(join(dir, 'run', 'abandoned.draft'), '');
  const longAgo = new Date(Date.now() - 3_600_000);
  for (const name of ['abandoned.sock', 'abandoned.draft']) await utimes(join(dir, 'run', name), longAgo, longAgo);
  await take(dir);
  expect(await files(dir)).toContain('abandoned.sock'); // somebody still listens
  await new Promise((resolve) => abandoned.close(resolve));
  await (await (await import('node:fs/promises')).open(join(dir, 'run', 'abandoned.sock'), 'w')).close();
  await utimes(join(dir, 'run', 'abandoned.sock'), longAgo, longAgo);
  for (const lock of held.splice(0)) await lock.release();
  await take(dir);
  const left = await files(dir);
  expect(left.filter((name) => name.startsWith('abandoned'))).toEqual([]);
  expect(left.filter((name) => name.startsWith('lock.'))).toHaveLength(8);
  expect(left.filter((name) => name.endsWith('.sock'))).toHaveLength(1);
});

describe('on another machine, where the socket says nothing,', () => {
  const lease = { beatMs: 100, forMs: 400 };

  async function heldElsewhere(): Promise<{ dir: string; file: string }> {
    const dir = await directory();
    const file = join(dir, 'run', 'lock.1');
    const record = { pid: 1, port: 1, host: 'elsewhere', machine: 'another boot', socket: 'gone.sock', since: '', released: false };
    await writeFile(file, JSON.stringify(record));
    return { dir, file };
  }

  it('a holder who renews his lease keeps the directory', async () => {
    const { dir, file } = await heldElsewhere();
    const renewing = setInterval(() => void writeFile(file, '{', { flag: 'r+' }), lease.beatMs);
    try {
      await expect(lockDataDir(dir, { lease })).rejects.toMatchObject({
        code: 'data_dir_locked',
        message: expect.stringContaining('elsewhere'),
      });
    } finally {
      clearInterval(renewing);
    }
  });

  it('a holder who renews no more loses it when the lease is over, not before', async () => {
    const { dir } = await heldElsewhere();
    const start = Date.now();
    await take(dir, { lease });
    expect(Date.now() - start).toBeGreaterThanOrEqual(lease.forMs - 10);
  });

  it('a holder renews his lease without being asked', async () => {
    const dir = await directory();
    await take(dir, { lease });
    const longAgo = new Date(Date.now() - 3_600_000);
    await utimes(join(dir, 'run', 'lock.1'), longAgo, longAgo);
    const waited = await lockDataDir(dir, { lease }).catch(() => 'refused'); // the socket decides here, the file only elsewhere
    expect(waited).toBe('refused');
    await new Promise((resolve) => setTimeout(resolve, 3 * lease.beatMs));
    const { mtimeMs } = await (await import('node:fs/promises')).stat(join(dir, 'run', 'lock.1'));
    expect(Date.now() - mtimeMs).toBeLessThan(lease.forMs);
    expect(await readLock(dir)).toEqual({ pid: process.pid, port: null });
  });
});

it.each([
  ['a higher generation appears', (run: string) => writeFile(join(run, 'lock.2'), '{}')],
  ['the lock files are removed', (run: string) => rm(join(run, 'lock.1'))],
])('the holder learns that the lock is lost when %s', async (_what, spoil) => {
  const dir = await directory();
  const lost = new Promise<Error>((resolve) => {
    void take(dir, { lease: { beatMs: 20, forMs: 400 }, lost: resolve }).then(() => spoil(join(dir, 'run')));
  });
  expect(await lost).toMatchObject({ code: 'data_dir_locked', message: expect.stringContaining('was lost') });
});

it('a directory whose path is too long for a socket is locked like any other', async () => {
  const dir = await directory(join(...Array.from({ length: 4 }, () => 'a-rather-long-name-'.repeat(5))));
  const lock = await take(dir);
  expect(await (await child()).ask(`lock ${dir} 0`)).toContain('refused data_dir_locked');
  expect((await readLock(dir))?.pid).toBe(process.pid);
  await lock.release();
  expect(await files(dir)).toEqual(['lock.1']);
});

it('without /proc a long path is shortened by a link that is removed again', async () => {
  const dir = join(await directory('b-rather-long-name-'.repeat(5)), 'run');
  const short = shortPath(dir, '/nowhere');
  expect(short.path.length).toBeLessThan(60);
  await writeFile(join(short.path, 'seen'), '');
  expect(existsSync(join(dir, 'seen'))).toBe(true);
  short.close();
  expect(existsSync(short.path)).toBe(false);
  expect(existsSync(join(dir, 'seen'))).toBe(true);
});

it('a socket file nobody listens on, or none at all, counts as dead', async () => {
  const run = join(await directory(), 'run');
  expect(await isListening(run, 'none.sock')).toBe(false);
  const server = await listenIn(run, 'some.sock');
  expect(await isListening(run, 'some.sock')).toBe(true);
  await new Promise((resolve) => server.close(resolve));
  expect(await isListening(run, 'some.sock')).toBe(false);
});

async function holder(dir: string): Promise<{ since: string }> {
  return JSON.parse(await readFile(join(dir, 'run', 'lock.1'), 'utf8')) as { since: string };
}
