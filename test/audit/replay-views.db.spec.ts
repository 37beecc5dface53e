import type { Source } from '../../src/audit/replay-source.js';
import { type RowDiff, Shadow, type ViewsResult } from '../../src/audit/replay-views.js';
import { applyViews, replayViews, type ViewsWish } from '../../src/audit/replay-views.postgres.js';
import type { ReplayMessage } from '../../src/audit/replay-wire.js';
import { Tallies } from '../../src/contracts/tallies.follower.js';
import type { Database, Tx } from '../../src/ledger/database.postgres.js';
import { enrol } from '../../src/ledger/follow.postgres.js';
import { FollowWorker } from '../../src/ledger/follow.worker.js';
import { askForRetry } from '../../src/ledger/park.postgres.js';
import type { SequencedColumns } from '../../src/ledger/read.postgres.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectSound } from '../support/sound.js';
import { unlock } from './flipped-bits.js';
import { Recorder, undone } from './recorded-sessions.js';

async function replay(db: Database, wish: Partial<ViewsWish> = {}) {
  const told: { source?: Source; items: RowDiff[]; result?: ViewsResult } = { items: [] };
  for await (const message of replayViews(db, { verify: true, ...wish }) as AsyncIterable<ReplayMessage<RowDiff, ViewsResult>>) {
    if ('source' in message) told.source = message.source;
    if ('item' in message) told.items.push(message.item);
    if ('result' in message) told.result = message.result;
  }
  return told;
}

describeEachDatabase('replay views', (open) => {
  let db: Database;
  let recorder: Recorder;

  beforeAll(async () => {
    ({ db } = await open());
    recorder = new Recorder(db);
    for (let i = 0; i < 3; i++) await recorder.session(`chat ${i}`, 3, i === 1);
    await recorder.emptySession('empty');
    await recorder.health('default/agent/echo_agent', 5);
  });
  const followAll = async () => {
    await recorder.sequenceAll();
    await enrol(db, 'tallies');
    await new FollowWorker(db, new Tallies()).catchUp();
  };

  it('says so where no server has ever kept views', async () => {
    await expect(replay(db)).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('start one') });
  });

  it('finds views the same that the follower has kept, and says from where it replayed', async () => {
    await followAll();
    const { source, items, result } = await replay(db);
    expect(source).toMatchObject({ verdict: 'valid', events: 23, size: 23, head: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(items).toEqual([]);
    expect(result).toEqual({
      ...{ idx: 22, differing: 0, parked: 0, applied: false },
      views: [
        { view: 'contract_tally', rows: 3, differing: 0 },
        { view: 'session_tally', rows: 2, differing: 0 },
      ],
    });
  });

  it('compares at the place the views have reached, however far the ledger is ahead', async () => {
    await recorder.session('ahead', 2);
    await recorder.sequenceAll();
    expect((await replay(db)).result).toMatchObject({ idx: 22, differing: 0 });
    await followAll();
    expect((await replay(db, { verify: false })).result).toMatchObject({ idx: 26, differing: 0 });
  });

  it('names every row that was changed, removed or added, and puts all of them right while others go on writing', async () => {
    await db.query(`UPDATE contract_tally SET n = n + 7 WHERE status = 'completed'`);
    await db.query(`DELETE FROM session_tally WHERE state = 'closed'`);
    await db.query(`INSERT INTO contract_tally (tenant, agent, capability, status, n) VALUES ('acme', '', 'x', 'failed', 1)`);
    const wrong = [
      { view: 'contract_tally', key: ['acme', '', 'x', 'failed'], live: 1, rebuilt: null },
      { view: 'contract_tally', key: ['default', 'echo_agent', 'echo', 'completed'], live: 13, rebuilt: 6 },
      { view: 'session_tally', key: ['default', 'closed'], live: null, rebuilt: 1 },
    ];
    const { items, result } = await replay(db);
    expect(items).toEqual(wrong);
    expect(result).toMatchObject({ differing: 3, applied: false });
    const applied = await replay(db, {
      apply: async (rebuilt) => {
        await recorder.session('meanwhile', 2);
        await followAll();
        return applyViews(db, rebuilt);
      },
    });
    expect(applied.items).toEqual(wrong);
    expect(applied.result).toMatchObject({ idx: 30, differing: 3, applied: true });
    expect((await replay(db)).result).toMatchObject({ idx: 30, differing: 0, applied: false });
  });

  it('counts a parked stream up to where it waits, as the views do', async () => {
    const stream = await recorder.session('poisoned', 2);
    await recorder.sequenceAll();
    await new FollowWorker(db, new Poisoned(stream, 2)).catchUp();
    const told = await replay(db);
    expect(told.result).toMatchObject({ idx: 34, differing: 0, parked: 1 });
    await expect(applyViews(db, { shadow: new Shadow(new Map()), parked: new Map() })).rejects.toMatchObject({
      code: 'ledger_unavailable',
    });
    await askForRetry(db, 'tallies', stream);
    await followAll();
    expect((await replay(db)).result).toMatchObject({ idx: 34, differing: 0, parked: 0 });
  });

  it('replays nothing of a ledger that was changed', async () => {
    await undone(db, async (tx) => {
      await unlock(tx);
      await tx.query(`UPDATE event SET status = 'cancelled' WHERE id = (SELECT max(id) FROM event)`);
      const messages = [];
      for await (const message of replayViews(tx as Database, { verify: true })) messages.push(message);
      expect(messages.at(-1)).toMatchObject({ source: { verdict: 'invalid', first: expect.stringMatching(/\w+: /) } });
    });
    await expectSound(db, { open: 1 });
  });
});

/** Cannot handle a stream from an event on. */
class Poisoned extends Tallies {
  constructor(
    private readonly stream: string,
    private readonly seq: number,
  ) {
    super();
  }

  override async handle(events: readonly SequencedColumns[], tx: Tx): Promise<void> {
    if (events.some(({ stream, seq }) => stream === this.stream && seq >= this.seq)) throw new Error('poison');
    await super.handle(events, tx);
  }
}
