import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { bridge, Inbox } from '../../src/ledger/embedded/bridge.system.js';
import { type Embedded, openEmbedded } from '../../src/ledger/embedded.system.js';
import { embeddedDirectory } from '../support/databases.js';

let scratch: string;
let embedded: Embedded;
let clients: pg.Client[] = [];

beforeAll(async () => {
  scratch = await embeddedDirectory();
  embedded = await openEmbedded(scratch);
  const client = await connect();
  await client.query('CREATE TABLE t(n int PRIMARY KEY)');
  await client.end();
});
afterEach(async () => {
  for (const client of clients) await client.end().catch(() => undefined);
  clients = [];
});
afterAll(async () => {
  await embedded.close();
  await rm(scratch, { recursive: true, force: true });
});

async function connect({ host, port }: { host: string; port: number } = embedded): Promise<pg.Client> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined);
  clients.push(client);
  await client.connect();
  return client;
}

it('a client inherits nothing: no statement, setting, temporary table, lock or open transaction of the one before', async () => {
  const first = await connect();
  await first.query({ name: 'same', text: 'SELECT 1 AS one' });
  await first.query(`SET search_path = pg_catalog`);
  await first.query('CREATE TEMPORARY TABLE mine(n int)');
  await first.query('SELECT pg_advisory_lock(7)');
  await first.query('BEGIN');
  await first.query('INSERT INTO public.t VALUES (1)');
  await first.end();
  const second = await connect();
  expect((await second.query({ name: 'same', text: 'SELECT 2 AS two' })).rows).toEqual([{ two: 2 }]);
  expect((await second.query('SHOW search_path')).rows).toEqual([{ search_path: 'public' }]);
  expect(
    (
      await second.query(
        `SELECT to_regclass('mine') AS mine, (SELECT count(*)::int FROM t) AS rows, (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks`,
      )
    ).rows,
  ).toEqual([{ mine: null, rows: 0, locks: 0 }]);
});

it('a client that breaks off in the middle of a statement leaves nothing behind', async () => {
  const first = await connect();
  await first.query('BEGIN');
  await first.query('INSERT INTO t VALUES (1)');
  const stream = (first as unknown as { connection: { stream: import('node:net').Socket } }).connection.stream;
  stream.write(Buffer.from([0x50, 0, 0, 0, 12, 0x78, 0, 0x53])); // half of a Parse
  stream.destroy();
  const second = await connect();
  expect((await second.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 0 }]);
});

it('a failed statement disturbs neither the next one nor its transaction', async () => {
  const client = await connect();
  await client.query('INSERT INTO t VALUES (1)');
  for (let n = 0; n < 400; n++) {
    expect((await client.query('SELECT $1::int AS n', [n])).rows).toEqual([{ n }]);
    await expect(client.query('INSERT INTO t VALUES ($1)', [1])).rejects.toMatchObject({ code: '23505' });
    await expect(client.query('SELECT nonsense $1', [1])).rejects.toMatchObject({ code: '42601' });
    expect((await client.query({ name: 'named', text: 'SELECT $1::text AS text', values: [`v${n}`] })).rows).toEqual([{ text: `v${n}` }]);
  }
  await expect(client.query('BEGIN; INSERT INTO t VALUES (2); SELECT 1 / 0; COMMIT')).rejects.toMatchObject({ code: '22012' });
  await client.query('ROLLBACK');
  await client.query('DELETE FROM t WHERE n = 1');
  expect((await client.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 0 }]);
});

it('large parameters and large results pass unchanged', async () => {
  const client = await connect();
  const text = 'äö'.repeat(1_500_000);
  expect((await client.query('SELECT $1::text AS text', [text])).rows[0].text === text).toBe(true);
  const bytes = Buffer.alloc(8_000_000, 'bytes');
  expect(bytes.equals((await client.query('SELECT $1::bytea AS bytes', [bytes])).rows[0].bytes)).toBe(true);
});

it('a client waits until the one before has left', async () => {
  const first = await connect();
  const second = connect();
  expect(await Promise.race([second.then(() => 'in'), new Promise((resolve) => setTimeout(resolve, 200, 'waiting'))])).toBe('waiting');
  await first.end();
  expect((await (await second).query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

it('a client that waits too long is told to use a pool of one', async () => {
  const ready = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0, 0x5a, 0, 0, 0, 5, 0x49]); // AuthenticationOk, ReadyForQuery
  const served = await bridge(join(scratch, '.s.PGSQL.1'), { exec: async () => [ready] }, 100);
  try {
    await connect({ host: scratch, port: 1 });
    await expect(connect({ host: scratch, port: 1 })).rejects.toMatchObject({
      code: '53300',
      message: expect.stringContaining('pool of one'),
    });
  } finally {
    await served.close();
  }
});

describe('the inbox', () => {
  const startup = Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0]);
  const query = Buffer.from([0x51, 0, 0, 0, 6, 0x78, 0]);
  const terminate = Buffer.from([0x58, 0, 0, 0, 4]);
  const read = (chunks: Buffer[]) => {
    const inbox = new Inbox();
    return chunks.flatMap((chunk) => {
      const taken: string[] = [];
      inbox.add(chunk);
      for (let next = inbox.take(); next !== undefined; next = inbox.take()) {
        taken.push(typeof next === 'string' ? next : next.toString('hex'));
        if (next === 'bye') break;
      }
      return taken;
    });
  };

  it('hands out whole messages only, however the stream is cut', () => {
    const stream = Buffer.concat([startup, query, query, query]);
    for (let cut = 1; cut < stream.length; cut++) {
      const taken = read([stream.subarray(0, cut), stream.subarray(cut)]);
      expect(taken.join('')).toBe(stream.toString('hex'));
      expect(taken[0]).toBe(startup.toString('hex'));
      for (const messages of taken.slice(1)) expect(messages).toMatch(new RegExp(`^(${query.toString('hex')})+$`));
    }
    expect(read([...stream].map((byte) => Buffer.from([byte])))).toEqual([startup, query, query, query].map((m) => m.toString('hex')));
  });

  it('declines encryption, and lets nobody end the process', () => {
    const ssl = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
    const cancel = Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 2]);
    expect(read([Buffer.concat([ssl, startup])])).toEqual(['no encryption', startup.toString('hex')]);
    expect(read([cancel])).toEqual(['bye']);
    expect(read([startup, Buffer.concat([query, terminate, query])])).toEqual([startup.toString('hex'), query.toString('hex'), 'bye']);
    expect(read([startup, Buffer.from([0x51, 0, 0, 0, 3])])).toEqual([startup.toString('hex'), 'bye']);
  });
});
