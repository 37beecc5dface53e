import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Appender } from '../../src/ledger/append.worker.js';
import { openCheckpoint } from '../../src/ledger/checkpoint.js';
import { forgetCheckpoints, logKeys, logs, newestCheckpoint } from '../../src/ledger/checkpoint.postgres.js';
import { Checkpoints } from '../../src/ledger/checkpoint.worker.js';
import { CheckpointDirectory } from '../../src/ledger/checkpoint-dir.system.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { LogEpochs } from '../../src/ledger/log-epoch.postgres.js';
import { parseVerifierKey, type SignerKey, signerKey, verifierOf } from '../../src/ledger/note.js';
import { disclosedValues, payloadsOf } from '../../src/ledger/payload.postgres.js';
import { consistencyProof, proofFile, proofOf } from '../../src/ledger/proofs.postgres.js';
import { sequencedAfter } from '../../src/ledger/read.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { CheckpointSigner } from '../../src/ledger/signer.postgres.js';
import { parseProof, verifyProof } from '../../src/ledger/tlog-proof.js';
import { verifyConsistency } from '../../src/ledger/tree.js';
import { describeEachDatabase, describeOnServer, openServerDatabase } from '../support/databases.js';
import { failing } from '../support/erasing.js';
import { contractIntent, newStream, runContract } from '../support/intents.js';
import { slowAppend } from '../support/slow-append.js';
import { expectSound } from '../support/sound.js';
import { until } from '../support/until.js';

const ORIGIN = 'example.com/log';
const KEY = signerKey(ORIGIN, Buffer.alloc(32, 1));
const NEXT = signerKey(`${ORIGIN}/2`, Buffer.alloc(32, 2));

const directories: string[] = [];
async function directory(): Promise<string> {
  directories.push(await mkdtemp(join(tmpdir(), 'ao-log-')));
  return directories.at(-1)!;
}
afterAll(() => Promise.all(directories.map((each) => rm(each, { recursive: true, force: true }))));

interface Options {
  readonly keys?: SignerKey[];
  readonly wanted?: string;
  readonly kept?: string;
}

function signerOn(db: Database, { keys = [KEY], wanted, kept }: Options = {}): CheckpointSigner {
  const outside = kept === undefined ? null : new CheckpointDirectory(kept);
  return new CheckpointSigner(db, new LogEpochs(db, new Appender(db), { wanted, keys, keyFile: 'log.key' }, outside), keys, outside);
}

/** Signs until there is a log in force, as the worker does. */
async function sign(signer: CheckpointSigner, db: Database) {
  for (;;) {
    const signed = await signer.sign(0);
    if (signed !== null) return signed;
    await new Sequencer(db).drain();
  }
}

async function grow(db: Database, contracts: number): Promise<void> {
  const appender = new Appender(db);
  await Promise.all(Array.from({ length: contracts }, () => appender.append(contractIntent(newStream()))));
  await new Sequencer(db).drain();
}

const isNow = (outcome: Awaited<ReturnType<CheckpointSigner['sign']>>): boolean => outcome !== null && 'now' in outcome && outcome.now;

const refused = (why: RegExp) => ({ refused: expect.stringMatching(why) });

describeEachDatabase('the log', (open) => {
  it('signs what is sequenced, and nothing twice', async () => {
    const { db } = await open();
    const signer = signerOn(db);
    expect(await signer.sign(0)).toEqual({ origin: null, size: 0, now: false, wait: 0 });
    await grow(db, 3);
    expect(await sign(signer, db)).toEqual({ origin: ORIGIN, size: 6, now: true, wait: 0 });
    expect(await sign(signer, db)).toEqual({ origin: ORIGIN, size: 6, now: false, wait: 0 });
    await new Appender(db).append(contractIntent(newStream())); // appended, not sequenced
    expect(await sign(signer, db)).toMatchObject({ size: 6, now: false });
    await grow(db, 0);
    expect(await sign(signerOn(db), db)).toMatchObject({ size: 8, now: true }); // another process goes on
    const newest = await newestCheckpoint(db);
    expect(openCheckpoint(newest!.note, [verifierOf(KEY)])).toMatchObject({ origin: ORIGIN, size: 8n, root: newest!.root });
    await expectSound(db);
  });

  it('waits for its interval', async () => {
    const { db } = await open();
    const signer = signerOn(db);
    await grow(db, 1);
    await sign(signer, db);
    await grow(db, 1);
    const { now, wait, size } = (await signer.sign(3_600_000)) as { now: boolean; wait: number; size: number };
    expect([now, size]).toEqual([false, 2]);
    expect(wait).toBeGreaterThan(3_500_000);
    await expectSound(db);
  });

  it('catches up with a ledger that had no tree, and proves every event of it and every checkpoint against every other', async () => {
    const { db } = await open();
    await grow(db, 330);
    const signer = signerOn(db);
    await sign(signer, db);
    await grow(db, 10);
    expect(await sign(signer, db)).toMatchObject({ size: 680, now: true });
    expect(await db.query('SELECT level, n FROM tree_node ORDER BY level, n')).toEqual([
      { level: 1, n: 0 },
      { level: 1, n: 1 },
    ]);
    for (const event of await sequencedAfter(db, -1, 1000)) {
      if (event.idx % 97 !== 0 && event.idx !== 679) continue;
      const proof = parseProof(proofFile(await proofOf(db, event)));
      expect(verifyProof(proof, event.hash, [verifierOf(KEY)])).toMatchObject({ size: 680n });
      expect([proof.index, proof.extra]).toEqual([BigInt(event.idx), event.record]);
    }
    for (const [from, to] of [
      [1, 680],
      [255, 256],
      [256, 257],
      [660, 680],
      [680, 680],
    ] as const) {
      const proof = await consistencyProof(db, from, to);
      expect(verifyConsistency({ ...proof, from: BigInt(from), to: BigInt(to) })).toBe(true);
    }
    await expectSound(db);
  });

  it('refuses to sign leaves that are not those it signed', async () => {
    const { db } = await open();
    await grow(db, 2);
    const signer = signerOn(db);
    await sign(signer, db);
    await db.query('ALTER TABLE leaf DISABLE TRIGGER leaf_append_only');
    const [before] = await db.query<{ hash: Buffer }>('SELECT hash FROM leaf WHERE idx = 1');
    await db.query(`UPDATE leaf SET hash = sha256('forged') WHERE idx = 1`);
    await grow(db, 1);
    expect(await sign(signer, db)).toEqual(
      refused(/signed at 4 events, and its leaves hash to another root: the record was changed since/),
    );
    await db.query('UPDATE leaf SET hash = $1 WHERE idx = 1', [before!.hash]);
    expect(await sign(signer, db)).toMatchObject({ size: 6, now: true });
    await db.query('ALTER TABLE leaf ENABLE TRIGGER leaf_append_only');
    await expectSound(db);
  });

  it('goes on with a new key, and old checkpoints stay verifiable', async () => {
    const { db } = await open();
    await grow(db, 1);
    await sign(signerOn(db), db);
    const old = (await newestCheckpoint(db))!.note;
    const rotated = signerKey(ORIGIN, Buffer.alloc(32, 3));
    await grow(db, 1);
    await sign(signerOn(db, { keys: [rotated, KEY] }), db);
    const both = (await newestCheckpoint(db))!.note;
    await grow(db, 1);
    await sign(signerOn(db, { keys: [rotated] }), db);
    const fresh = (await newestCheckpoint(db))!.note;
    const keys = (await logKeys(db)).map(({ vkey }) => parseVerifierKey(vkey));
    expect(keys).toEqual([verifierOf(KEY), verifierOf(rotated)]);
    expect([old, both, fresh].map((note) => openCheckpoint(note, keys).signers.map(({ id }) => id))).toEqual([
      [KEY.id],
      [rotated.id, KEY.id],
      [rotated.id],
    ]);
    await expectSound(db);
  });

  it('is signed under its own name and no other', async () => {
    const { db } = await open();
    await grow(db, 1);
    await sign(signerOn(db), db);
    await grow(db, 1);
    expect(await sign(signerOn(db, { keys: [NEXT] }), db)).toEqual(
      refused(/signed as example.com\/log, and log.key has only a key named example.com\/log\/2/),
    );
    expect(await sign(signerOn(db, { wanted: NEXT.name }), db)).toEqual(
      refused(/has no key of that name; make one: .* --origin example.com\/log\/2 /),
    );
    expect(await sign(signerOn(db, { keys: [NEXT, KEY] }), db)).toMatchObject({ origin: ORIGIN, size: 4, now: true });
    await expectSound(db);
  });

  it('keeps its newest checkpoint outside before it is in the database', async () => {
    const { db } = await open();
    const kept = await directory();
    await grow(db, 1);
    const signer = signerOn(db, { kept });
    await sign(signer, db);
    const own = join(kept, 'example.com%2Flog');
    expect(await readdir(own)).toEqual(['00000000000000000002.checkpoint']);
    expect(await readFile(join(own, '00000000000000000002.checkpoint'), 'utf8')).toBe((await newestCheckpoint(db))!.note);
    await grow(db, 1);
    await rm(own, { recursive: true });
    await writeFile(own, 'in the way');
    await expect(signer.sign(0)).rejects.toThrow();
    expect(await newestCheckpoint(db)).toMatchObject({ size: 2 }); // what cannot be kept is not published
    await rm(own);
    expect(await sign(signer, db)).toMatchObject({ size: 4, now: true });
    expect(await readdir(own)).toEqual(['00000000000000000004.checkpoint']);
    await expectSound(db);
  });

  it('refuses a database that was set back, says how to go on, and goes on as a new log that records the old one', async () => {
    const [first, second] = [await open(), await open()];
    const kept = await directory();
    await grow(first.db, 5);
    await sign(signerOn(first.db, { kept }), first.db);
    const old = (await newestCheckpoint(first.db))!;

    const { db } = second; // as if restored from an old backup
    await grow(db, 3);
    const behind = await sign(signerOn(db, { kept }), db);
    expect(behind).toEqual(refused(/00010.checkpoint says that example.com\/log had 10 events, and this database has 6: it was set back/));
    expect(behind).toEqual(refused(/log keygen --origin example.com\/log\/2 --add, then start with LOG_ORIGIN=example.com\/log\/2/));
    await grow(db, 4);
    expect(await sign(signerOn(db, { kept }), db)).toEqual(refused(/another root at 10 events than this database/));
    expect(await newestCheckpoint(db)).toBeNull();

    const signer = signerOn(db, { kept, keys: [NEXT, KEY], wanted: NEXT.name });
    expect(await sign(signer, db)).toMatchObject({ origin: NEXT.name, now: true, size: 15 });
    expect(await logs(db)).toMatchObject([
      { epoch: 1, origin: ORIGIN, first_idx: 0, size: 0 },
      { epoch: 2, origin: NEXT.name, first_idx: 14, size: 15 },
    ]);
    const started = (await sequencedAfter(db, 13, 1))[0]!;
    expect([started.type, started.stream, JSON.parse(started.record.toString())]).toEqual([
      'log.started',
      'default/system',
      expect.objectContaining({ origin: NEXT.name, old_origin: ORIGIN, old_size: 10, old_root: old.root.toString('hex') }),
    ]);
    expect(disclosedValues((await payloadsOf(db, [started.id])).get(started.id))).toEqual({ checkpoint: old.note });
    await grow(db, 1);
    expect(await sign(signer, db)).toMatchObject({ origin: NEXT.name, size: 17, now: true });
    expect(await sign(signerOn(db, { kept, keys: [NEXT, KEY], wanted: ORIGIN }), db)).toEqual(
      refused(/was given up for example.com\/log\/2/),
    );
    await expectSound(db);
    await expectSound(first.db);

    const third = (await open()).db; // set back once more, to before the new log began
    await grow(third, 1);
    await sign(signerOn(third), third);
    const again = await sign(signerOn(third, { kept, keys: [NEXT, KEY], wanted: NEXT.name }), third);
    expect(again).toEqual(refused(/00017.checkpoint says that example.com\/log\/2 was signed already, .* take another name/));
    await expectSound(third);
  });

  it.each([
    ['DELETE', 'pending'],
    ['INSERT', 'leaf'],
    ['UPDATE', 'sequencer'],
    ['INSERT', 'log'],
    ['INSERT', 'tree_node'],
    ['INSERT', 'log_key'],
    ['UPDATE', 'log'],
    ['INSERT', 'checkpoint'],
  ] as const)('is left by who dies before the %s of %s so that the next one goes on', async (kind, table) => {
    const { db } = await open();
    const kept = await directory();
    const appender = new Appender(db);
    const append = (contracts: number) =>
      Promise.all(Array.from({ length: contracts }, () => appender.append(contractIntent(newStream()))));
    await append(130); // a whole tile, and a little
    const mend = await failing(db, kind, table);
    const sequencer = new Sequencer(db, undefined, { tree: true });
    await sequencer.drain();
    expect(sequencer.status()['tree_error']).toEqual(table === 'tree_node' ? expect.stringContaining('the process died') : null);
    const outcome = await signerOn(db, { kept })
      .sign(0)
      .catch((error: Error) => error.message);
    expect(outcome).toEqual(
      typeof outcome === 'string' ? expect.stringContaining('the process died') : expect.objectContaining({ size: 0 }),
    );
    expect(await newestCheckpoint(db)).toBeNull();
    await mend();
    await append(1);
    await new Sequencer(db).drain();
    expect(await sign(signerOn(db, { kept }), db)).toEqual({ origin: ORIGIN, size: 262, now: true, wait: 0 });
    expect((await new CheckpointDirectory(kept).newest(ORIGIN))!.note).toBe((await newestCheckpoint(db))!.note);
    await expectSound(db);
  });

  it('thins out checkpoints older than an hour, but keeps the last of each hour and those that were cosigned', async () => {
    const { db } = await open();
    const signer = signerOn(db);
    for (let i = 0; i < 5; i++) {
      await grow(db, 1);
      await sign(signer, db);
    }
    await db.query(
      `UPDATE checkpoint SET signed_at = date_trunc('hour', clock_timestamp()) - interval '3 hours' + size * interval '1 minute' WHERE size < 10`,
    );
    await db.query(`UPDATE checkpoint SET cosignatures = 'x' WHERE size = 4`);
    expect(await forgetCheckpoints(db)).toBe(2);
    expect(await db.query('SELECT size FROM checkpoint ORDER BY size')).toEqual([{ size: 4 }, { size: 8 }, { size: 10 }]);
    await expectSound(db);
  });

  it('tells who waits for it when an event is published', async () => {
    const { db } = await open();
    const checkpoints = new Checkpoints(db, signerOn(db), 20);
    checkpoints.start();
    const stream = newStream();
    await new Appender(db).append(contractIntent(stream));
    expect(await checkpoints.published({ stream, seq: 2 }, 10)).toBeNull();
    await new Sequencer(db).drain();
    checkpoints.kick();
    expect(await checkpoints.published({ stream, seq: 2 })).toEqual({ index: 1, tree_size: 2 });
    await checkpoints.drain();
    expect(checkpoints.status()).toMatchObject({ origin: ORIGIN, size: 2, refused: null, signed: 1, last_error: null });
    await expectSound(db);
  });
});

describeOnServer('checkpoints of several replicas', () => {
  it('never disagree while sequencers and signers race and transactions are slow or rolled back', async () => {
    const database = await openServerDatabase();
    try {
      const [a, b, reader] = [await database.another(), await database.another(), await database.another()];
      const kept = await directory();
      const sequencers = [a, b].map((db) => new Sequencer(db, undefined, { tree: true, pace: { pollMs: 5, restMs: 0 } }));
      for (const sequencer of sequencers) sequencer.start();
      let writing = true;
      const signing = [a, b].map(async (db) => {
        const signer = signerOn(db, { kept });
        let signed = 0;
        for (let last = false; !last; ) {
          last = !writing;
          const outcome = await signer.sign(0);
          expect(outcome ?? {}).not.toHaveProperty('refused');
          if (isNow(outcome)) signed += 1;
        }
        return signed;
      });
      const appenders = [a, b].map((db, i) => new Appender(db, () => sequencers[i]!.kick()));
      const writers = Array.from({ length: 6 }, async (_, w) => {
        for (let i = 0; i < 45; i++) await runContract(appenders[w % 2]!, newStream());
      });
      const slow = Array.from({ length: 8 }, async (_, s) => {
        for (let i = 0; i < 3; i++) await slowAppend(s % 2 ? a : b, 10 + 17 * ((s + i) % 7), (s + i) % 2 === 0);
      });
      await Promise.all([...writers, ...slow]);
      for (const sequencer of sequencers) await sequencer.drain();
      writing = false;
      const signed = await Promise.all(signing);
      expect(await newestCheckpoint(reader)).toMatchObject({ size: 6 * 45 * 2 + 12 });
      const [{ n }] = (await reader.query<{ n: number }>('SELECT count(*) AS n FROM checkpoint')) as [{ n: number }];
      expect(n).toBe(signed[0]! + signed[1]!); // each of them was one signer's alone
      expect(n).toBeGreaterThan(5);
      await expectSound(reader);
    } finally {
      await database.close();
    }
  });

  it('are signed by one of those who sign at once', async () => {
    const database = await openServerDatabase();
    try {
      const kept = await directory();
      const signers = await Promise.all([1, 2, 3].map(async () => signerOn(await database.another(), { kept })));
      for (let round = 1; round <= 10; round++) {
        await grow(database.db, 1);
        const outcomes = await Promise.all(signers.map((signer) => signer.sign(0)));
        expect(outcomes.filter(isNow)).toEqual([{ origin: ORIGIN, size: 2 * round, now: true, wait: 0 }]);
      }
      await expectSound(database.db);
    } finally {
      await database.close();
    }
  });

  it('go on after a signer was killed between keeping its checkpoint outside and publishing it', async () => {
    const database = await openServerDatabase();
    try {
      const [victim, other] = [await database.another(), await database.another()];
      const kept = await directory();
      await grow(other, 1);
      await sign(signerOn(other, { kept }), other);
      await grow(other, 1);
      let killed: Promise<unknown> = Promise.resolve();
      await other.transaction(async (tx) => {
        await tx.query('SELECT 1 FROM log FOR UPDATE');
        killed = signerOn(victim, { kept })
          .sign(0)
          .catch((error: Error) => error);
        await until('it waits for the row', async () => {
          const waiting = await database.db.query<{ pid: number }>(
            `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%UPDATE log%'`,
          );
          for (const { pid } of waiting) await database.db.query('SELECT pg_terminate_backend($1)', [pid]);
          return waiting.length > 0;
        });
      });
      expect(await killed).toBeInstanceOf(Error);
      expect(await readdir(join(kept, 'example.com%2Flog'))).toEqual(['00000000000000000004.checkpoint']);
      expect(await newestCheckpoint(other)).toMatchObject({ size: 2 });
      expect(await sign(signerOn(other, { kept }), other)).toMatchObject({ size: 4, now: true });
      await expectSound(other);
    } finally {
      await database.close();
    }
  });
});
