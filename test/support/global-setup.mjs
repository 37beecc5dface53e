/**
 * Once per run: finds a real PostgreSQL (TEST_DATABASE_URL, or whatever answers on localhost:5432) and makes one migrated template of each
 * kind of database, so that a test gets a fresh one by copying.
 */
import { mkdtemp, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';

export default async function setUp() {
  const { openLedger } = await import('../../dist/ledger/open.postgres.js').catch((error) => {
    throw new Error(`tests need a build: run npm test, or npm run build first (${error.message})`);
  });
  const migrations = new URL('../../migrations', import.meta.url).pathname;
  // `server` or `embedded` leaves the other half out while working on something; `both` insists on a server, as the gate does.
  const wanted = process.env.TEST_DATABASES;
  const server = wanted === 'embedded' ? null : await findServer();
  if (wanted && wanted !== 'embedded' && !server) throw new Error(`TEST_DATABASES=${wanted}: no PostgreSQL answers on localhost:5432`);

  const scratch = await mkdtemp(join(await roomy(), 'ao-test-'));
  process.env.AO_TEST_SCRATCH = scratch;
  process.env.AO_TEST_RUN = String(process.pid);

  const embed = async () => {
    const template = join(scratch, 'template');
    await (await openLedger({ DATA_DIR: template, DATABASE_POOL: 4 }, migrations)).close();
    process.env.AO_TEST_EMBEDDED_TEMPLATE = template;
  };
  const serve = async () => {
    const name = `ao_template_${process.pid}`;
    await run(server, `CREATE DATABASE ${name}`);
    await (await openLedger({ DATABASE_URL: withDatabase(server, name), DATA_DIR: '', DATABASE_POOL: 4 }, migrations)).close();
    process.env.AO_TEST_SERVER = server;
    process.env.AO_TEST_TEMPLATE = name;
  };
  await Promise.all([wanted !== 'server' && embed(), server && serve()]);
  const kinds = [process.env.AO_TEST_EMBEDDED_TEMPLATE && 'embedded', server && 'a PostgreSQL server'].filter(Boolean);
  process.stdout.write(
    `\ndatabases under test: ${kinds.join(' and ')}${server || wanted ? '' : ' (no PostgreSQL answers on localhost:5432)'}\n`,
  );
}

/** In memory where there is plenty of it: embedded databases fsync with every commit, and most of the time would be the disk's. */
async function roomy() {
  const memory = await statfs('/dev/shm').catch(() => null);
  return memory && memory.bavail * memory.bsize > 8 * 2 ** 30 ? '/dev/shm' : tmpdir();
}

async function findServer() {
  if (process.env.TEST_DATABASE_URL) {
    await run(process.env.TEST_DATABASE_URL, 'SELECT 1'); // asked for: then it must answer
    return process.env.TEST_DATABASE_URL;
  }
  for (const user of [process.env.PGUSER, 'postgres', process.env.USER]) {
    if (!user) continue;
    const password = process.env.PGPASSWORD ? `:${encodeURIComponent(process.env.PGPASSWORD)}` : '';
    const url = `postgres://${encodeURIComponent(user)}${password}@127.0.0.1:5432/postgres`;
    const mayCreate = await run(url, 'SELECT rolcreatedb OR rolsuper AS may FROM pg_roles WHERE rolname = current_user').catch(() => []);
    if (mayCreate[0]?.may) return url;
  }
  return null;
}

export function withDatabase(url, name) {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

export async function run(url, sql) {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}
