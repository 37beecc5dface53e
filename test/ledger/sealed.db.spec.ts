import { Appender } from '../../src/ledger/append.worker.js';
import { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { claimMasterKey, countKeys, releaseMasterKeys, rewrapKeys } from '../../src/ledger/keys.postgres.js';
import { fingerprint, Keys } from '../../src/ledger/keys.system.js';
import { newMasterKey } from '../../src/ledger/master-key.system.js';
import { disclosedValues, payloadsOf } from '../../src/ledger/payload.postgres.js';
import { describeEachDatabase, describeOnServer, openServerDatabase } from '../support/databases.js';
import { contractIntent, newStream, openingIntent, responseIntent, runContract } from '../support/intents.js';
import { expectSound } from '../support/sound.js';

const SECRET = 'the secret of the payload';

const append = async (appender: Appender, stream: string, text = SECRET) => {
  const draft = newDraft('agent.health', {}, { reason: text });
  const { refusal } = await appender.append({ stream, drafts: [draft] }, 20_000);
  if (refusal) throw new Error(refusal.code);
  return draft.id;
};

async function read(db: Database, stream: string): Promise<unknown[]> {
  const rows = await db.query<{ id: number }>('SELECT id FROM event WHERE stream = $1 ORDER BY seq', [stream]);
  const payloads = await payloadsOf(
    db,
    rows.map(({ id }) => id),
  );
  return rows.map(({ id }) => disclosedValues(payloads.get(id))['reason']);
}

const keysOf = (db: Database, stream: string) =>
  db.query<{ key_id: string }>('SELECT key_id, master FROM payload_key WHERE stream = $1', [stream]);

describeEachDatabase('sealed payload', (open) => {
  let db: Database;
  let appender: Appender;
  beforeAll(async () => {
    ({ db } = await open());
    appender = new Appender(db);
  });
  it('shows nothing of itself in the database, and is read as it was written', async () => {
    const stream = newStream();
    await append(appender, stream);
    const rows = await db.query<{ bytes: Buffer; key_id: string }>(
      'SELECT p.bytes, p.key_id FROM payload p JOIN event e ON e.id = p.event WHERE e.stream = $1',
      [stream],
    );
    expect(rows.map(({ bytes }) => bytes.includes(SECRET))).toEqual([false]);
    expect(await keysOf(db, stream)).toEqual([{ key_id: rows[0]!.key_id, master: db.keys.held[0] }]);
    expect(await read(db, stream)).toEqual([SECRET]);
  });

  it('has one key for all of a stream, also after the appender has forgotten it, and another for the next', async () => {
    const [stream, other] = [newStream(), newStream()];
    await append(appender, stream);
    await append(appender, stream);
    await append(new Appender(db), stream);
    await append(appender, other);
    expect(await keysOf(db, stream)).toHaveLength(1);
    expect(await keysOf(db, other)).not.toEqual(await keysOf(db, stream));
    expect(await read(db, stream)).toEqual([SECRET, SECRET, SECRET]);
  });

  it('has no key that belongs to no event', async () => {
    const taken = openingIntent('taken');
    expect((await appender.append(taken)).refusal).toBeUndefined();
    expect((await appender.append(openingIntent('taken'))).refusal?.code).toBe('renamed');
    expect((await appender.append(responseIntent(newStream(), 'never asked'))).refusal?.code).toBe('not_open');
    const strays = 'SELECT stream FROM payload_key k WHERE NOT EXISTS (SELECT 1 FROM stream_head h WHERE h.stream = k.stream)';
    expect(await db.query(strays)).toEqual([]);
  });

  it('whose key was damaged keeps its own stream from being written, and no other', async () => {
    const [damaged, other] = [newStream(), newStream()];
    for (const stream of [damaged, other]) await append(appender, stream);
    await db.query('UPDATE payload_key SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) WHERE stream = $1', [damaged]);
    db.keys.forget((await keysOf(db, damaged)).map((key) => key.key_id));
    const fresh = new Appender(db);
    const results = await Promise.allSettled([damaged, other].map((stream) => append(fresh, stream)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect((results[0] as PromiseRejectedResult).reason).toMatchObject({
      code: 'ledger_unavailable',
      message: expect.stringContaining('cannot be opened: damaged'),
    });
    await db.query('UPDATE payload_key SET wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) WHERE stream = $1', [damaged]);
  });

  it('goes on beside payload that was never sealed', async () => {
    const stream = newStream();
    await append(appender, stream, 'sealed');
    const plain = newStream();
    await append(appender, plain, 'before');
    // As a ledger has it that began with MASTER_KEY=off.
    const salted = Buffer.from(JSON.stringify(['AAECAwQFBgcICQoLDA0ODw', 'note', 'plain']));
    await db.query(`INSERT INTO payload (event, name, bytes) SELECT id, 'note', $2 FROM event WHERE stream = $1`, [plain, salted]);
    const [row] = await db.query<{ id: number }>('SELECT id FROM event WHERE stream = $1', [plain]);
    expect(disclosedValues((await payloadsOf(db, [row!.id])).get(row!.id))).toEqual({ note: 'plain', reason: 'before' });
    await db.query(`DELETE FROM payload WHERE name = 'note'`);
    await expectSound(db, { open: 1 });
  });
});

describeOnServer('several processes and their keys', () => {
  it('agree on one key for a stream that all of them begin at once', async () => {
    const test = await openServerDatabase();
    const writers = [new Appender(test.db), new Appender(await test.another()), new Appender(await test.another())];
    const streams = Array.from({ length: 5 }, newStream);
    for (let round = 0; round < 4; round++)
      await Promise.all(streams.flatMap((stream) => writers.map((writer) => runContract(writer, stream))));
    expect(await countKeys(test.db)).toEqual([{ master: test.db.keys.held[0], keys: 5, destroyed: 0 }]);
    await expectSound(test.db);
    await test.close();
  });

  it('are refused a ledger that is sealed under a master key they do not hold; of two that begin it, the second', async () => {
    const test = await openServerDatabase();
    const [first, second] = [newMasterKey(), newMasterKey()];
    const url = test.settings.DATABASE_URL!;
    const as = (...masters: Buffer[]) => Database.connect({ url, poolSize: 2, keys: new Keys(masters) });
    const dbs = await Promise.all([as(first), as(second), as(second, first), as()]);
    const [one, other, both, none] = dbs as [Database, Database, Database, Database];
    const claims = await Promise.allSettled([claimMasterKey(one, 'here'), claimMasterKey(other, 'there')]);
    expect(claims.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [known] = await test.db.query<{ id: string }>('SELECT id FROM master_key');
    await expect(claimMasterKey(none, 'MASTER_KEY=off')).rejects.toMatchObject({
      code: 'bad_configuration',
      message: expect.stringContaining(`${known!.id}, but there is none (MASTER_KEY=off)`),
    });
    await claimMasterKey(both, 'MASTER_KEY');
    await Promise.all(dbs.map((db) => db.close()));
    await test.close();
  });

  it('read and write on while their keys are wrapped anew, page by page', async () => {
    const test = await openServerDatabase();
    const [old, young] = [newMasterKey(), newMasterKey()];
    const url = test.settings.DATABASE_URL!;
    const before = await Database.connect({ url, poolSize: 4, keys: new Keys([old]) });
    await claimMasterKey(before, 'old');
    const appender = new Appender(before);
    const streams = Array.from({ length: 1100 }, newStream);
    await Promise.all(streams.map((stream) => appender.append(contractIntent(stream), 20_000)));

    const both = await Database.connect({ url, poolSize: 4, keys: new Keys([young, old]) });
    await claimMasterKey(both, 'both');
    const writer = new Appender(both);
    expect(await rewrapKeys(both)).toBe(1100);
    await runContract(writer, streams[0]!);
    await runContract(writer, newStream());
    expect(await rewrapKeys(both)).toBe(0);
    expect(await releaseMasterKeys(both)).toEqual([]);
    expect(await countKeys(both)).toEqual([{ master: fingerprint(young), keys: 1101, destroyed: 0 }]);

    const after = await Database.connect({ url, poolSize: 4, keys: new Keys([young]) });
    await claimMasterKey(after, 'young');
    await expectSound(after);
    for (const db of [before, both, after]) await db.close();
    await test.close();
  });
});
