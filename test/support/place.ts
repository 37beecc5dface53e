/** Databases nobody holds yet, for whole orchestrators: they open them themselves, in this process or in one of their own. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from '../../src/ledger/database.postgres.js';
import { openEmbedded } from '../../src/ledger/embedded.system.js';
import { embeddedDirectory, MASTER_KEY, server, serverDatabase, testKeys } from './databases.js';

export interface Place {
  readonly settings: { DATABASE_URL?: string; DATA_DIR: string; MASTER_KEY: string };
  drop(): Promise<void>;
}

export type MakePlace = () => Promise<Place>;

/** A directory for one test file's own things. */
export const scratchDirectory = () => mkdtemp(join(process.env['AO_TEST_SCRATCH']!, 's'));

const embeddedPlace: MakePlace = async () => {
  const directory = await embeddedDirectory();
  return { settings: { DATA_DIR: directory, MASTER_KEY }, drop: () => rm(directory, { recursive: true, force: true }) };
};

const serverPlace: MakePlace = async () => {
  const { url, drop } = await serverDatabase();
  return { settings: { DATABASE_URL: url, DATA_DIR: await scratchDirectory(), MASTER_KEY }, drop };
};

/** Without a schema: the first start there runs every migration. */
export async function emptyPlace(onServer: boolean): Promise<Place> {
  if (onServer) {
    const { url, drop } = await serverDatabase('template0');
    return { settings: { DATABASE_URL: url, DATA_DIR: await scratchDirectory(), MASTER_KEY }, drop };
  }
  const directory = join(await scratchDirectory(), 'ledger');
  return { settings: { DATA_DIR: directory, MASTER_KEY }, drop: () => rm(directory, { recursive: true, force: true }) };
}

/** For what does not depend on the kind of database: the quickest there is. */
export const anyPlace: MakePlace = () => (server ? serverPlace() : embeddedPlace());

export type Kind = 'embedded' | 'PostgreSQL';

/** null: not under test in this run. */
export function placeOf(kind: Kind): MakePlace | null {
  if (kind === 'PostgreSQL') return server ? serverPlace : null;
  return process.env['AO_TEST_EMBEDDED_TEMPLATE'] ? embeddedPlace : null;
}

/** The suite once per kind of database, as describeEachDatabase does it. What `make` gave is dropped after the suite. */
export function describeEachPlace(title: string, suite: (make: MakePlace) => void): void {
  const kinds = (['embedded', 'PostgreSQL'] as const).flatMap((kind) => {
    const make = placeOf(kind);
    return make ? [[kind, make] as const] : [];
  });
  describe.each(kinds)(`${title} on %s`, (_kind, make) => suite(make));
}

/** Looks into the database while no orchestrator has it. */
export async function inspect<T>({ settings }: Place, look: (db: Database) => Promise<T>): Promise<T> {
  const embedded = settings.DATABASE_URL === undefined ? await openEmbedded(settings.DATA_DIR) : null;
  try {
    const at = embedded ? { socket: embedded, poolSize: 1 } : { url: settings.DATABASE_URL!, poolSize: 4 };
    const db = await Database.connect({ ...at, keys: testKeys() });
    try {
      return await look(db);
    } finally {
      await db.close();
    }
  } finally {
    await embedded?.close();
  }
}

export const EXAMPLE = { module: join(__dirname, '../../data/example-agent.js') };
export const MOODY = { module: join(__dirname, 'agents/moody.js') };

/** An agents file with these entries. */
export async function agentsFile(agents: readonly object[]): Promise<string> {
  const file = join(await scratchDirectory(), 'agents.json');
  await writeFile(file, JSON.stringify({ agents }));
  return file;
}
