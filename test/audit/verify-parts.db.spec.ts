/** Verified in parts, on several connections or in several goes, a ledger is found to be what it is found to be in one. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type VerifyManner, type VerifyStand, verifyLedger } from '../../src/audit/verify.postgres.js';
import type { Verdict } from '../../src/audit/verify-verdict.js';
import { VerifyResume } from '../../src/cli/verify-resume.system.js';
import { type ThreadSettings, VerifyThreads } from '../../src/cli/verify-threads.system.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { describeOnServer, openServerDatabase, type TestDatabase } from '../support/databases.js';
import { scratchDirectory } from '../support/place.js';
import { endAll, runCommand } from '../support/process.js';
import { expectSound } from '../support/sound.js';
import { unlock } from './flipped-bits.js';
import { Recorder } from './recorded-sessions.js';

afterAll(endAll);

describeOnServer('a ledger that is verified in parts', () => {
  let database: TestDatabase;
  let db: Database;
  let recorder: Recorder;

  beforeAll(async () => {
    database = await openServerDatabase();
    ({ db } = database);
    recorder = new Recorder(db);
    for (let i = 0; i < 12; i++) await recorder.session(`part ${i}`, 1 + (i % 4), i === 7);
    await recorder.sequenceAll();
    await expectSound(db, { open: 1 });
    // Damage of every kind, in several streams: what is told must not depend on who told it.
    await unlock(db);
    await db.query(`UPDATE event SET task = 'wrong' WHERE id % 5 = 0`);
    await db.query('DELETE FROM payload WHERE event % 7 = 0');
    await db.query('DELETE FROM leaf WHERE idx = 9');
    await db.query('UPDATE leaf SET event = 4711 WHERE idx = 11');
  });
  afterAll(() => database.close());

  async function verdictOf(manner: VerifyManner = {}): Promise<Verdict> {
    let last: unknown;
    for await (const message of verifyLedger(db, {}, manner)) last = message;
    return last as Verdict;
  }

  it('by several connections, gets the same verdict, word for word', async () => {
    const whole = await verdictOf();
    expect(whole).toMatchObject({ verdict: 'invalid', streams: 12, found: expect.any(Number) });
    const threads = new VerifyThreads(database.settings as ThreadSettings, 3);
    expect(await verdictOf({ streams: (facts) => threads.streams(facts) })).toEqual(whole);
    await threads.close();
  });

  it('by the threads of the command line, gets the same verdict', async () => {
    const { DATABASE_URL, MASTER_KEY } = database.settings;
    const { code, stdout } = await runCommand(['verify', '--json', '--threads', '3'], { env: { DATABASE_URL: DATABASE_URL!, MASTER_KEY } });
    expect([code, JSON.parse(stdout)]).toEqual([2, JSON.parse(JSON.stringify(await verdictOf()))]);
  });

  it('cut off and gone on with from its file, gets the same verdict', async () => {
    const whole = await verdictOf();
    const stands: VerifyStand[] = [];
    const cut = verifyLedger(
      db,
      {},
      {
        came: async (stand) => void stands.push(JSON.parse(JSON.stringify(stand)) as VerifyStand),
      },
    );
    for (let message = await cut.next(); stands.length === 0 && !message.done; message = await cut.next());
    await cut.return(undefined);
    const begun = JSON.parse(JSON.stringify(stands[0])) as VerifyStand;
    expect(await verdictOf({ begun })).toEqual(whole);
  });

  it('goes on only where it was with this very ledger', async () => {
    const file = join(await scratchDirectory(), 'stand');
    const resume = await VerifyResume.at(file, 'one', 0);
    expect(resume.begun).toBeNull();
    const stand = { stream: 'default/system', state: {} } as unknown as VerifyStand;
    await resume.came(stand);
    expect((await VerifyResume.at(file, 'one')).begun).toEqual(stand);
    await expect(VerifyResume.at(file, 'two')).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining('another ledger'),
    });
    await resume.done();
    await expect(readFile(file)).rejects.toMatchObject({ code: 'ENOENT' });
    await writeFile(file, 'diary');
    await expect(VerifyResume.at(file, 'one')).rejects.toMatchObject({ code: 'invalid_request' });
  });
});
