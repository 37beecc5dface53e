/** Databases that live as long as the bench: a fresh one on the PostgreSQL server, or a temporary directory for the embedded one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';

const STEP_MS = 20_000;
const undo = [];
let ending;

/** Runs when the bench ends, in the opposite order, also after Ctrl-C. */
export const atEnd = (work) => undo.push(work);

export function endAll() {
  ending ??= (async () => {
    for (const work of undo.reverse()) {
      let timer;
      // What does not end in time is left behind: the databases must go whatever hangs.
      const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`not done within ${STEP_MS} ms`)), STEP_MS);
      });
      await Promise.race([work(), late]).catch((error) => process.stderr.write(`while cleaning up: ${error.message}\n`));
      clearTimeout(timer);
    }
  })();
  return ending;
}

/** Runs a bench and cleans up after it, whatever happens. */
export async function bench(work) {
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => endAll().finally(() => process.exit(130)));
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${error.stack ?? error}\n`);
    process.exitCode = 1;
  } finally {
    await endAll();
  }
}

let made = 0;

/** A new, empty database. */
export async function freshDatabase({ databaseUrl: server, set }) {
  const name = `bench_${process.pid}_${made++}`;
  const admin = async (sql) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  await admin(`CREATE DATABASE ${name}`);
  atEnd(() => admin(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  for (const setting of set ? set.split(',') : []) await admin(`ALTER DATABASE ${name} SET ${setting.replace('=', ' = ')}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, name };
}

export async function temporaryDirectory() {
  const directory = await mkdtemp(join(tmpdir(), 'bench-'));
  atEnd(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A module of the build under test. */
export const built = (root, path) => import(pathToFileURL(resolve(root, 'dist', path)).href);

/** A ledger in this process: `kind` postgres or embedded. */
export async function openLedger(options, kind) {
  if (kind !== 'postgres' && kind !== 'embedded') throw new Error(`there is no database ${kind}, only postgres and embedded`);
  const { openLedger } = await built(options.root, 'ledger/open.postgres.js');
  const database = kind === 'postgres' ? await freshDatabase(options) : undefined;
  const settings = { DATABASE_URL: database?.url, DATABASE_POOL: 10, DATA_DIR: database ? '' : join(await temporaryDirectory(), 'ledger') };
  const ledger = await openLedger(settings, resolve(options.root, 'migrations'));
  atEnd(() => ledger.close());
  return { ...ledger, database };
}

/** The ledger's schema in a database, without a ledger in this process. */
export async function migrate(options, { url }) {
  const { openLedger } = await built(options.root, 'ledger/open.postgres.js');
  const ledger = await openLedger({ DATABASE_URL: url, DATABASE_POOL: 2, DATA_DIR: '' }, resolve(options.root, 'migrations'));
  await ledger.close();
}
