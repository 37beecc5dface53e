import { copyFile, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate } from '../../src/ledger/migrate.postgres.js';
import { openLedger } from '../../src/ledger/open.postgres.js';
import { describeEachDatabase, describeOnServer, openServerDatabase, server, serverDatabase } from '../support/databases.js';

const MIGRATIONS = join(__dirname, '../../migrations');

async function copied(extra: Record<string, string> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ao-migrations-'));
  for (const name of await readdir(MIGRATIONS)) await copyFile(join(MIGRATIONS, name), join(directory, name));
  for (const [name, sql] of Object.entries(extra)) await writeFile(join(directory, name), sql);
  return directory;
}

describeEachDatabase('migrations', (open) => {
  it('are applied once', async () => {
    const { db } = await open();
    expect(await migrate(db, MIGRATIONS)).toEqual([]);
    const more = await copied({ '9000-more.sql': 'CREATE TABLE more (x int)' });
    expect(await migrate(db, more)).toEqual(['9000-more.sql']);
    expect(await migrate(db, more)).toEqual([]);
  });

  it('stop at a broken one with its name, and leave nothing of the others behind', async () => {
    const { db } = await open();
    const broken = await copied({ '9000-good.sql': 'CREATE TABLE good (x int)', '9001-broken.sql': 'CREATE TABLE broken (x nonsense)' });
    await expect(migrate(db, broken)).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringContaining('9001-broken.sql'),
    });
    expect(await db.query(`SELECT to_regclass('good') AS t`)).toEqual([{ t: null }]);
  });

  it('refuse a file that was edited after it landed, one they do not know, and one with a wrong name', async () => {
    const { db } = await open();
    const edited = await copied({ '0002-tallies.sql': 'SELECT 1' });
    await expect(migrate(db, edited)).rejects.toThrow(/0002-tallies.sql was edited/);
    await migrate(db, await copied({ '9000-newer.sql': 'SELECT 1' }));
    await expect(migrate(db, MIGRATIONS)).rejects.toThrow(/9000-newer.sql has been applied .* newer version/);
    await expect(migrate(db, await copied({ 'later.sql': 'SELECT 1' }))).rejects.toThrow(/later.sql is not named NNNN-name.sql/);
  });
});

describeOnServer('opening a ledger on a server', () => {
  it('migrates once when several replicas start at the same time', async () => {
    const { url, drop } = await serverDatabase('template1');
    const opened = await Promise.all(
      Array.from({ length: 5 }, () => openLedger({ DATABASE_URL: url, DATABASE_POOL: 4, DATA_DIR: '' }, MIGRATIONS)),
    );
    expect(opened.map((o) => o.migrated.length).sort()).toEqual([0, 0, 0, 0, (await readdir(MIGRATIONS)).length]);
    for (const ledger of opened) await ledger.close();
    await drop();
  });

  it('refuses a database that would lose what it acknowledged', async () => {
    const database = await openServerDatabase();
    const url = database.settings.DATABASE_URL!;
    const name = new URL(url).pathname.slice(1);
    await database.db.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
    const opening = openLedger({ DATABASE_URL: url, DATABASE_POOL: 4, DATA_DIR: '' }, MIGRATIONS);
    await expect(opening).rejects.toMatchObject({ code: 'database_unfit', message: expect.stringContaining('synchronous_commit is off') });
    await database.close();
  });

  it('names the server it cannot reach, without the password', async () => {
    const url = new URL(server!);
    url.password = 'hunter2';
    url.port = '1';
    const opening = openLedger({ DATABASE_URL: url.href, DATABASE_POOL: 4, DATA_DIR: '' }, MIGRATIONS);
    await expect(opening).rejects.toMatchObject({
      code: 'database_unfit',
      message: expect.stringMatching(/:\*\*\*@127\.0\.0\.1:1.*ECONNREFUSED/s),
    });
  });
});
