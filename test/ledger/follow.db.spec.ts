import { Appender } from '../../src/ledger/append.worker.js';
import type { Database, Tx } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { enrol, followers, lockCursor } from '../../src/ledger/follow.postgres.js';
import { type Follower, FollowWorker } from '../../src/ledger/follow.worker.js';
import { askForRetry, parkedStreams } from '../../src/ledger/park.postgres.js';
import type { SequencedColumns } from '../../src/ledger/read.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { describeEachDatabase } from '../support/databases.js';
import { contractIntent, newStream } from '../support/intents.js';

/** Copies event ids into a table of its own, so that effect and cursor can be compared; may be told to choke. */
class Copier implements Follower {
  choke: (event: SequencedColumns) => boolean = () => false;
  batches: number[] = [];

  constructor(readonly name: string) {}

  async handle(events: readonly SequencedColumns[], tx: Tx): Promise<void> {
    this.batches.push(events.length);
    for (const event of events) {
      await tx.query('INSERT INTO copied (follower, idx, stream, seq) VALUES ($1, $2, $3, $4)', [
        this.name,
        event.idx,
        event.stream,
        event.seq,
      ]);
      if (this.choke(event)) throw new Error(`cannot stomach idx ${event.idx}`);
    }
  }
}

describeEachDatabase('a follower inside the database', (open) => {
  let db: Database;
  let serial = 0;
  let copier: Copier;
  let worker: FollowWorker;
  const copied = async () =>
    db.query<{ idx: number; stream: string; seq: number }>('SELECT idx, stream, seq FROM copied WHERE follower = $1 ORDER BY n', [
      copier.name,
    ]);

  beforeAll(async () => {
    db = (await open()).db;
    await db.query(
      'CREATE TABLE copied (n bigint GENERATED ALWAYS AS IDENTITY, follower text, idx bigint, stream text, seq bigint, UNIQUE (follower, idx))',
    );
    const appender = new Appender(db);
    const streams = Array.from({ length: 6 }, newStream);
    for (let round = 0; round < 5; round++) await Promise.all(streams.map((stream) => appender.append(contractIntent(stream))));
    await new Sequencer(db).drain();
  });
  beforeEach(async () => {
    copier = new Copier(`copier${++serial}`);
    worker = new FollowWorker(db, copier, 1);
    await enrol(db, copier.name);
  });

  it('handles every event exactly once, in the order of idx', async () => {
    await worker.catchUp();
    await worker.catchUp();
    expect((await copied()).map((c) => c.idx)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    expect(await followers(db)).toContainEqual(expect.objectContaining({ name: copier.name, cursor: 59, lag: 0, parked: 0, error: null }));
  });

  it('moves the cursor in the transaction of its effect: a crash in between leaves neither', async () => {
    let died = false;
    copier.choke = (event) => {
      const dies = event.idx === 30 && !died;
      died ||= dies;
      return dies;
    };
    await worker.catchUp(); // fails once at idx 30, as if the process had died there; what follows is the next life
    expect((await copied()).map((c) => c.idx)).toEqual(Array.from({ length: 60 }, (_, i) => i));
    expect(await parkedStreams(db, copier.name)).toEqual([]);
  });

  it('parks the stream of a poisoned event, keeps later events of that stream waiting and goes on with the others', async () => {
    copier.choke = (event) => event.idx === 20;
    await worker.catchUp();
    const done = await copied();
    const [parked] = await parkedStreams(db, copier.name);
    expect(parked).toMatchObject({ from_idx: 20, error: 'cannot stomach idx 20' });
    expect(done.filter((c) => c.stream === parked!.stream).every((c) => c.idx < 20)).toBe(true);
    expect(done.filter((c) => c.stream !== parked!.stream)).toHaveLength(50);
    expect(await followers(db)).toContainEqual(expect.objectContaining({ name: copier.name, cursor: 59, lag: 0, parked: 1 }));
  });

  it('hands out what waited on a parked stream, in order, once the poison is gone', async () => {
    copier.choke = (event) => event.idx === 20;
    await worker.catchUp();
    await askForRetry(db, copier.name);
    await worker.catchUp();
    expect(await parkedStreams(db, copier.name)).toMatchObject([{ from_idx: 20, due: false }]); // still poisoned
    copier.choke = () => false;
    await askForRetry(db, copier.name);
    await worker.catchUp();
    const done = await copied();
    expect(done).toHaveLength(60);
    for (const stream of new Set(done.map((c) => c.stream))) {
      expect(done.filter((c) => c.stream === stream).map((c) => c.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    expect(await parkedStreams(db, copier.name)).toEqual([]);
  });

  it('does not take the cursor while another replica holds it', async () => {
    if (db.embedded) return expect(db.embedded).toBe(true); // one process, nobody to share with
    await db.transaction(async (tx) => {
      await lockCursor(tx, copier.name);
      await worker.catchUp();
    });
    expect(await copied()).toEqual([]);
    await worker.catchUp();
    expect(await copied()).toHaveLength(60);
  });

  it('wakes when kicked and finishes its round when drained', async () => {
    await worker.start();
    await new Appender(db).append({ stream: newStream(), drafts: [newDraft('agent.health', {})] });
    await new Sequencer(db, () => worker.kick()).drain();
    for (let i = 0; (await copied()).length < 61 && i < 500; i++) await new Promise((done) => setTimeout(done, 20));
    await worker.drain();
    expect(await copied()).toHaveLength(61);
  });
});
