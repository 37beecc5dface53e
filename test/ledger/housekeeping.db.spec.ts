import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { type Embedded, openEmbedded } from '../../src/ledger/embedded.system.js';
import { EmbeddedHousekeeping, type Query } from '../../src/ledger/housekeeping.worker.js';
import { embeddedDirectory } from '../support/databases.js';

// On a busy machine the load takes its time.
jest.setTimeout(90_000);

const MB = 1024 * 1024;
const NEVER = Number.POSITIVE_INFINITY;

let scratch: string;
let embedded: Embedded;
let pool: pg.Pool;
let query: Query;
let running: EmbeddedHousekeeping[] = [];

beforeAll(async () => {
  scratch = await embeddedDirectory();
  embedded = await openEmbedded(scratch);
  pool = new pg.Pool({ host: embedded.host, port: embedded.port, user: 'postgres', database: 'postgres', max: 1, idleTimeoutMillis: 0 });
  query = async (sql) => (await pool.query(sql)).rows;
});
afterEach(async () => {
  for (const each of running) await each.drain();
  running = [];
});
afterAll(async () => {
  await pool.end();
  await embedded.close();
  await rm(scratch, { recursive: true, force: true });
});

function keep(...args: ConstructorParameters<typeof EmbeddedHousekeeping>): EmbeddedHousekeeping {
  const housekeeping = new EmbeddedHousekeeping(...args);
  running.push(housekeeping);
  housekeeping.start();
  return housekeeping;
}
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 2000; n++) {
    if (await what()) return;
    await pause(10);
  }
  throw new Error('it did not happen within twenty seconds');
}
async function walOnDisk(): Promise<number> {
  const wal = join(scratch, 'pg', 'pg_wal');
  let bytes = 0;
  for (const name of await readdir(wal)) {
    if (/^[0-9A-F]{24}$/.test(name)) bytes += (await stat(join(wal, name)).catch(() => ({ size: 0 }))).size; // removed meanwhile
  }
  return bytes;
}

/** 8 MB of WAL each. */
async function write(times: number): Promise<void> {
  await pool.query('CREATE TABLE IF NOT EXISTS load(n bigint, text text)');
  for (let n = 0; n < 8 * times; n++) await pool.query(`INSERT INTO load SELECT n, repeat('x', 900) FROM generate_series(1, 1000) n`);
}

it('WAL stays bounded under a write load, and does not without housekeeping', async () => {
  await pool.query('CHECKPOINT');
  const housekeeping = keep(query, { lookMs: 5, walBytes: 16 * MB, checkpointMs: NEVER, vacuumMs: NEVER });
  let highest = 0;
  for (let n = 0; n < 16; n++) {
    await write(1);
    highest = Math.max(highest, await walOnDisk());
  }
  expect(highest).toBeLessThanOrEqual(80 * MB);
  expect(housekeeping.status()['checkpoints']).toBeGreaterThanOrEqual(4);
  await housekeeping.drain();
  await write(16);
  expect(await walOnDisk()).toBeGreaterThan(110 * MB);
  await pool.query('TRUNCATE load');
});

it('whatever was written is in a checkpoint after its time, and an idle database makes none', async () => {
  await pool.query('CREATE TABLE IF NOT EXISTS few(n int)');
  const housekeeping = keep(query, { lookMs: 5, walBytes: NEVER, checkpointMs: 100, vacuumMs: NEVER });
  await until(() => housekeeping.status()['checkpoints'] === 1);
  await pause(300);
  expect(housekeeping.status()['checkpoints']).toBe(1);
  await pool.query('INSERT INTO few VALUES (1)');
  await until(() => housekeeping.status()['checkpoints'] === 2);
});

it('nothing of it runs inside a transaction of the pool', async () => {
  const housekeeping = keep(query, { lookMs: 1, walBytes: 1, checkpointMs: 1, vacuumMs: 1 });
  await pool.query('CREATE TABLE IF NOT EXISTS transfer(n int)');
  for (let round = 0; round < 20; round++) {
    const client = await pool.connect();
    await client.query('BEGIN');
    const before = housekeeping.status();
    for (let n = 0; n < 5; n++) {
      await client.query('INSERT INTO transfer VALUES ($1)', [n]);
      await pause(3);
    }
    expect(housekeeping.status()).toEqual(before);
    await client.query(round % 2 ? 'COMMIT' : 'ROLLBACK');
    client.release();
    await until(() => Number(housekeeping.status()['checkpoints']) > Number(before['checkpoints']));
  }
  expect(housekeeping.status()).toMatchObject({ last_error: null }); // VACUUM would have failed in a transaction
  expect((await pool.query('SELECT count(*)::int AS n FROM transfer')).rows).toEqual([{ n: 50 }]);
});

it('a small table that is updated without end stays small, and a grown one is analyzed', async () => {
  await pool.query('CREATE TABLE hot(n int PRIMARY KEY, at int)');
  await pool.query('INSERT INTO hot SELECT n, 0 FROM generate_series(1, 100) n');
  await pool.query('CREATE TABLE grown AS SELECT n FROM generate_series(1, 5000) n');
  const housekeeping = keep(query, { lookMs: 5, walBytes: NEVER, checkpointMs: NEVER, vacuumMs: 20 });
  const size = async () => Number((await pool.query(`SELECT pg_relation_size('hot') AS bytes`)).rows[0].bytes);
  let afterOneRound = 0;
  for (let round = 0; round < 6; round++) {
    const before = Number(housekeeping.status()['vacuums']);
    for (let n = 0; n < 20; n++) await pool.query('UPDATE hot SET n = -n'); // not HOT: the index gets new entries
    await pool.query('SELECT pg_stat_force_next_flush()');
    await until(() => Number(housekeeping.status()['vacuums']) > before);
    if (round === 0) afterOneRound = await size();
  }
  expect(await size()).toBeLessThanOrEqual(2 * afterOneRound); // six times that if nobody cleans up
  await until(async () => Number((await pool.query(`SELECT reltuples AS n FROM pg_class WHERE relname = 'grown'`)).rows[0].n) === 5000);
});

it('a failing statement is seen in the status and tried again, and a drained housekeeping is silent', async () => {
  let fail = true;
  let asked = 0;
  const housekeeping = keep(
    async (sql) => {
      asked++;
      if (fail) throw new Error('the pool is away');
      return query(sql);
    },
    { lookMs: 5, walBytes: NEVER, checkpointMs: NEVER, vacuumMs: NEVER },
  );
  await until(() => housekeeping.status()['last_error'] === 'the pool is away');
  fail = false;
  await until(() => housekeeping.status()['last_error'] === null);
  await housekeeping.drain();
  const before = asked;
  await pause(50);
  expect(asked).toBe(before);
  await housekeeping.drain();
});
