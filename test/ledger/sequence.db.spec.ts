import { Appender } from '../../src/ledger/append.worker.js';
import { sequencedAfter } from '../../src/ledger/read.postgres.js';
import { ledgerSize } from '../../src/ledger/sequence.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { nodeHash, subtreeHash } from '../../src/ledger/tree.js';
import { growTree, hashesOf } from '../../src/ledger/tree.postgres.js';
import { describeEachDatabase, describeOnServer, openServerDatabase } from '../support/databases.js';
import { contractIntent, newStream, runContract } from '../support/intents.js';
import { slowAppend } from '../support/slow-append.js';
import { expectSound } from '../support/sound.js';

describeEachDatabase('the sequencer', (open) => {
  it('gives every event the next dense idx, in the order of each stream', async () => {
    const { db } = await open();
    const sequencer = new Sequencer(db);
    const appender = new Appender(db, () => sequencer.kick());
    const streams = Array.from({ length: 5 }, newStream);
    await Promise.all(streams.flatMap((stream) => [runContract(appender, stream), runContract(appender, stream)]));
    await sequencer.drain();
    expect(await ledgerSize(db)).toMatchObject({ sequenced: 20, pending: 0 });
    await expectSound(db);
  });

  it('says when the ledger has grown, and only then', async () => {
    const { db } = await open();
    let grown = 0;
    const sequencer = new Sequencer(db, () => {
      grown += 1;
    });
    sequencer.kick();
    await sequencer.drain();
    expect(grown).toBe(0);
    await new Appender(db).append(contractIntent(newStream()));
    await sequencer.drain();
    expect(grown).toBe(1);
  });

  it('empties a backlog larger than one round', async () => {
    const { db } = await open();
    const appender = new Appender(db);
    await Promise.all(Array.from({ length: 1100 }, () => appender.append(contractIntent(newStream()))));
    const sequencer = new Sequencer(db);
    await sequencer.drain();
    expect(sequencer.status()).toMatchObject({ sequenced: 2200, rounds: 2 });
    await expectSound(db);
  });

  it('grows the tree by every tile it fills, and by those another left out', async () => {
    const { db } = await open();
    const appender = new Appender(db);
    const append = (contracts: number) =>
      Promise.all(Array.from({ length: contracts }, () => appender.append(contractIntent(newStream()))));
    const nodes = async () => (await db.query<{ n: number }>('SELECT n FROM tree_node WHERE level = 1 ORDER BY n')).map(({ n }) => n);
    const sequenced = () => new Sequencer(db, undefined, { tree: true }).drain();
    await append(127);
    await sequenced();
    expect(await nodes()).toEqual([]);
    await append(1);
    await sequenced();
    expect(await nodes()).toEqual([0]);
    await append(130);
    await new Sequencer(db).drain(); // as one that was killed before it came to the tree
    expect(await nodes()).toEqual([0]);
    await append(126);
    await sequenced();
    expect(await nodes()).toEqual([0, 1, 2]);
    const leaves = await db.query<{ hash: Buffer }>('SELECT hash FROM leaf ORDER BY idx');
    const hashed = (from: number, to: number) => subtreeHash(Buffer.concat(leaves.slice(from, to).map(({ hash }) => hash)));
    const [root] = await hashesOf(db, [{ start: 0n, end: 768n }], 768n);
    expect(root).toEqual(nodeHash(hashed(0, 512), hashed(512, 768)));
  });

  it('catches up with a tree that was never grown in as many rounds as it takes', async () => {
    const { db } = await open();
    const appender = new Appender(db);
    await Promise.all(Array.from({ length: 512 }, () => appender.append(contractIntent(newStream()))));
    await new Sequencer(db).drain();
    expect([await growTree(db, 1024, 3), await growTree(db, 1024, 3), await growTree(db, 1024, 3)]).toEqual([false, true, true]);
    expect(await db.query('SELECT level, n FROM tree_node ORDER BY level, n')).toEqual([0, 1, 2, 3].map((n) => ({ level: 1, n })));
    await expectSound(db);
  });
});

describeOnServer('the sequenced ledger under slow, rolled-back and concurrent transactions', () => {
  it('is read by a follower without skipping or repeating an event', async () => {
    const database = await openServerDatabase();
    try {
      const [a, b, reader] = [await database.another(), await database.another(), await database.another()];
      const sequencers = [a, b].map((db) => new Sequencer(db, undefined, { pace: { pollMs: 5, restMs: 0 } }));
      for (const sequencer of sequencers) sequencer.start();
      const seen: number[] = [];
      const ids: string[] = [];
      let reading = true;
      const follow = (async () => {
        for (let cursor = -1; reading; ) {
          for (const event of await sequencedAfter(reader, cursor, 50)) {
            seen.push(event.idx);
            ids.push(event.event_id);
            cursor = event.idx;
          }
        }
      })();
      const appenders = [new Appender(a, () => sequencers[0]!.kick()), new Appender(b, () => sequencers[1]!.kick())];
      const writers = Array.from({ length: 8 }, async (_, w) => {
        for (let i = 0; i < 25; i++) await runContract(appenders[w % 2]!, newStream());
      });
      const slow = Array.from({ length: 12 }, async (_, s) => {
        for (let i = 0; i < 3; i++) await slowAppend(s % 2 ? a : b, 20 + 37 * ((s + i) % 7), (s + i) % 2 === 0);
      });
      await Promise.all([...writers, ...slow]);
      for (const sequencer of sequencers) await sequencer.drain();
      const { sequenced, pending } = await ledgerSize(reader);
      for (let wait = 0; seen.length < sequenced && wait < 1000; wait++) await new Promise((done) => setTimeout(done, 10));
      reading = false;
      await follow;
      expect([sequenced, pending]).toEqual([8 * 25 * 2 + 18, 0]);
      expect(seen).toEqual(Array.from({ length: sequenced }, (_, i) => i));
      expect(new Set(ids).size).toBe(sequenced);
      const late = await reader.query<{ n: number }>(
        'SELECT count(*) AS n FROM leaf l JOIN leaf m ON m.idx = l.idx + 1 WHERE m.event < l.event',
      );
      expect(late[0]!.n).toBeGreaterThan(0); // some committed late, else nothing was shown
      await expectSound(reader);
    } finally {
      await database.close();
    }
  });
});
