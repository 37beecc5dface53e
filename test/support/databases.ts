/** Fresh migrated databases of both kinds: every suite that touches the ledger runs on each of them. */
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { Database } from '../../src/ledger/database.postgres.js';
import { openEmbedded } from '../../src/ledger/embedded.system.js';
import { Keys } from '../../src/ledger/keys.system.js';

/** Whole orchestrators in tests share it, so that whoever looks into their databases can read them. */
export const MASTER_KEY = Buffer.alloc(32, 'test').toString('base64');
export const testKeys = () => new Keys([Buffer.from(MASTER_KEY, 'base64')]);

export interface TestDatabase {
  readonly db: Database;
  /** Settings under which a whole orchestrator runs on the same database. */
  readonly settings: { DATABASE_URL?: string; DATA_DIR: string; MASTER_KEY: string };
  /** Another connection to the same database, as another replica has it; only on a server. */
  another(): Promise<Database>;
  close(): Promise<void>;
}

export type OpenTestDatabase = () => Promise<TestDatabase>;

const scratch = process.env['AO_TEST_SCRATCH']!;
export const server = process.env['AO_TEST_SERVER'];

let serial = 0;
const unique = () => `${process.env['JEST_WORKER_ID']}_${process.hrtime.bigint().toString(36)}_${++serial}`;

/** A directory with a migrated embedded database that nobody holds. */
export async function embeddedDirectory(): Promise<string> {
  const directory = join(scratch, `e${unique()}`);
  await cp(process.env['AO_TEST_EMBEDDED_TEMPLATE']!, directory, { recursive: true });
  return directory;
}

/** URL of a fresh migrated database on the server, and how to drop it. */
export async function serverDatabase(template = process.env['AO_TEST_TEMPLATE']!): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `ao_test_${process.env['AO_TEST_RUN']}_${unique()}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = new URL(server!);
  url.pathname = `/${name}`;
  // Nobody waits for it: PostgreSQL makes a checkpoint first. What is still there in the end is dropped with the template.
  const drop = async () => void onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).catch(() => undefined);
  return { url: url.href, drop };
}

async function onServer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    // Two files may copy the template at once; PostgreSQL refuses the second while the first reads it.
    for (let attempt = 0; ; attempt++) {
      try {
        await client.query(sql);
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== '55006' || attempt === 50) throw error;
        await new Promise((again) => setTimeout(again, 100));
      }
    }
  } finally {
    await client.end();
  }
}

export const openEmbeddedDatabase: OpenTestDatabase = async () => {
  const directory = await embeddedDirectory();
  const embedded = await openEmbedded(directory);
  const db = await Database.connect({ socket: embedded, poolSize: 1, keys: testKeys() });
  const close = async () => {
    await db.close();
    await embedded.close();
    await rm(directory, { recursive: true, force: true });
  };
  const another = () => Promise.reject(new Error('the embedded database has one connection'));
  return { db, settings: { DATA_DIR: directory, MASTER_KEY }, another, close };
};

export const openServerDatabase: OpenTestDatabase = async () => {
  const { url, drop } = await serverDatabase();
  const opened: Database[] = [];
  const another = async () => {
    const db = await Database.connect({ url, poolSize: 10, keys: testKeys() });
    opened.push(db);
    return db;
  };
  const db = await another();
  const close = async () => {
    for (const each of opened) await each.close();
    await drop();
  };
  return { db, settings: { DATABASE_URL: url, DATA_DIR: '', MASTER_KEY }, another, close };
};

/** The suite once per kind of database. What `open` gave is closed after the suite. */
export function describeEachDatabase(title: string, suite: (open: OpenTestDatabase) => void): void {
  const kinds: [string, OpenTestDatabase][] = [];
  if (process.env['AO_TEST_EMBEDDED_TEMPLATE']) kinds.push(['embedded', openEmbeddedDatabase]);
  if (server) kinds.push(['PostgreSQL', openServerDatabase]);
  describe.each(kinds)(`${title} on %s`, (_kind, open) => {
    const opened: TestDatabase[] = [];
    afterAll(async () => {
      for (const each of opened) await each.close();
    });
    suite(async () => {
      const database = await open();
      opened.push(database);
      return database;
    });
  });
}

/** Suites about several replicas: only a server can have them. */
export const describeOnServer = server ? describe : describe.skip;
