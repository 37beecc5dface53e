/** Several processes on one server: each replica here has connections, caches and queues of its own. */

import { Tallies } from '../../src/contracts/tallies.follower.js';
import { Appender } from '../../src/ledger/append.worker.js';
import { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { enrol } from '../../src/ledger/follow.postgres.js';
import { FollowWorker } from '../../src/ledger/follow.worker.js';
import { parkedStreams } from '../../src/ledger/park.postgres.js';
import type { AppendResult } from '../../src/ledger/send.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { describeOnServer, openServerDatabase, type TestDatabase } from '../support/databases.js';
import {
  contractIntent,
  idleSession,
  newStream,
  openingIntent,
  requestDraft,
  requestIntent,
  responseIntent,
  runContract,
} from '../support/intents.js';
import { until } from '../support/orchestrator.js';
import { type BreakingProxy, openProxy } from '../support/proxy.js';
import { expectSound } from '../support/sound.js';

const codes = (results: { refusal?: { code: string } | undefined }[]) => results.map((r) => r.refusal?.code ?? 'appended');

const isWaiting = async (db: Database) =>
  (await db.query(`SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).length > 0;

describeOnServer('replicas', () => {
  let database: TestDatabase;
  let replicas: { db: Database; appender: Appender; sequencer: Sequencer }[];

  beforeEach(async () => {
    database = await openServerDatabase();
    replicas = [];
    for (let i = 0; i < 4; i++) {
      const db = await database.another();
      const sequencer = new Sequencer(db);
      replicas.push({ db, sequencer, appender: new Appender(db, () => sequencer.kick()) });
    }
  });
  afterEach(async () => {
    for (const { sequencer } of replicas) await sequencer.drain();
    await database.close();
  });

  it('write hot and cold streams with 16 writers at once: no contract is lost, doubled or tried more than five times', async () => {
    const hot = [newStream(), newStream()];
    const writers = Array.from({ length: 16 }, async (_, w) => {
      const { appender } = replicas[w % 4]!;
      const results = [];
      for (let i = 0; i < 40; i++) results.push(await runContract(appender, i % 2 ? hot[(i >> 1) % 2]! : newStream()));
      return results;
    });
    const results = (await Promise.all(writers)).flat();
    expect(new Set(codes(results))).toEqual(new Set(['appended']));
    const counts = replicas.map((r) => r.appender.status() as { lost: number; most_losses: number });
    expect(Math.max(...counts.map((c) => c.most_losses))).toBeLessThan(5);
    expect(counts.reduce((sum, c) => sum + c.lost, 0)).toBeGreaterThan(0); // there was a race to survive
    const [n] = await database.db.query<{ n: number }>('SELECT count(*) AS n FROM event');
    expect(n!.n).toBe(16 * 40 * 2);
    await expectSound(database.db);
  });

  it('take turns on one raced stream', async () => {
    const stream = newStream();
    const pair = replicas.slice(0, 2);
    await Promise.all(
      pair.flatMap(({ appender }) =>
        Array.from({ length: 8 }, async () => {
          for (let i = 0; i < 50; i++) await runContract(appender, stream);
        }),
      ),
    );
    for (const { appender } of pair) expect(appender.status()['most_losses']).toBeLessThan(5);
    await expectSound(database.db);
  });

  it('open a session of one name as one stream', async () => {
    const results = await Promise.all(replicas.map(({ appender }) => appender.append(openingIntent('shared'))));
    expect(codes(results).sort()).toEqual(['appended', 'renamed', 'renamed', 'renamed']);
    await expectSound(database.db, { open: 1 });
  });

  it('do not bring back a name whose erasure is under way', async () => {
    const closed = await idleSession(replicas[0]!.appender, 'going');
    let late: Promise<AppendResult> | undefined;
    await replicas[1]!.db.transaction(async (tx) => {
      await tx.query('DELETE FROM session WHERE stream = $1', [closed.stream]);
      late = replicas[2]!.appender.append(openingIntent('going', closed));
      await until('the append waits for it', () => isWaiting(database.db)); // its snapshot still has the name
    });
    expect(codes([await late!])).toEqual(['renamed']);
    expect(await database.db.query('SELECT 1 FROM session')).toEqual([]);
    await expectSound(database.db);
  });

  it('take the names of a batch in one order, so that two never wait for each other', async () => {
    const [first, last] = [await idleSession(replicas[0]!.appender, 'a'), await idleSession(replicas[0]!.appender, 'b')];
    const row = (name: string, wait = '') => `SELECT 1 FROM session WHERE name = '${name}' FOR UPDATE ${wait}`;
    let both: Promise<AppendResult[]> | undefined;
    await replicas[1]!.db.transaction(async (tx) => {
      await tx.query(row('a'));
      const { appender } = replicas[2]!;
      both = Promise.all([appender.append(openingIntent('b', last)), appender.append(openingIntent('a', first))]);
      await until('the batch waits for the first', () => isWaiting(database.db));
      await replicas[3]!.db.query(row('b', 'NOWAIT'));
    });
    expect(codes(await both!)).toEqual(['appended', 'appended']);
    expect(replicas[2]!.appender.status()).toMatchObject({ batches: 1, lost: 0 });
    await expectSound(database.db, { open: 2 });
  });

  it('let one RESPONSE win when two are given at once', async () => {
    const stream = newStream();
    for (let i = 0; i < 30; i++) {
      const request = requestDraft();
      await replicas[0]!.appender.append(requestIntent(stream, request));
      const results = await Promise.all(replicas.map(({ appender }) => appender.append(responseIntent(stream, request.id))));
      expect(codes(results).sort()).toEqual(['appended', 'not_open', 'not_open', 'not_open']);
    }
    await expectSound(database.db);
  });

  it('answer 503 rather than waiting for ever when another transaction holds the stream', async () => {
    const stream = newStream();
    await replicas[0]!.appender.append(contractIntent(stream));
    const holder = replicas[1]!.db.transaction(async (tx) => {
      await tx.query(`SET LOCAL idle_in_transaction_session_timeout = '60s'`);
      await tx.query('SELECT 1 FROM stream_head WHERE stream = $1 FOR UPDATE', [stream]);
      await new Promise((done) => setTimeout(done, 7000));
    });
    const late = await replicas[0]!.appender.append(contractIntent(stream), 20_000);
    expect(codes([late])).toEqual(['appended']); // after the lock timed out once and the turn came
    const cold = await replicas[0]!.appender.append(contractIntent(newStream()));
    expect(codes([cold])).toEqual(['appended']);
    await holder;
    await expectSound(database.db);
  });
});

describeOnServer('a connection that breaks', () => {
  let database: TestDatabase;
  let proxy: BreakingProxy;
  let db: Database;
  let appender: Appender;

  beforeEach(async () => {
    database = await openServerDatabase();
    proxy = await openProxy(database.settings.DATABASE_URL!);
    db = await Database.connect({ url: proxy.url, poolSize: 4 });
    appender = new Appender(db);
  });
  afterEach(async () => {
    await db.close();
    await proxy.close();
    await database.close();
  });

  it.each(['before', 'after'] as const)('%s the COMMIT of a batch of 200 neither loses nor doubles an event', async (when) => {
    const hot = newStream();
    await appender.append(contractIntent(hot));
    proxy.breakNext('append', when);
    const intents = [
      ...Array.from({ length: 60 }, () => contractIntent(newStream())),
      ...Array.from({ length: 40 }, () => contractIntent(hot)),
    ];
    const results = await Promise.all(intents.map((intent) => appender.append(intent, 20_000)));
    expect(proxy.broken()).toBe(1);
    expect(new Set(codes(results))).toEqual(new Set(['appended']));
    const stored = await database.db.query<{ event_id: string; seq: number; hash: Buffer }>('SELECT event_id, seq, hash FROM event');
    expect(stored).toHaveLength(202);
    const places = new Map(stored.map((e) => [e.event_id, `${e.seq} ${e.hash.toString('hex')}`]));
    for (const r of results)
      for (const p of r.refusal ? [] : r.placed) expect(places.get(p.draft.id)).toBe(`${p.seq} ${p.hash.toString('hex')}`);
    await expectSound(database.db);
  });

  it('and stays away makes a REQUEST fail with 503 and a RESPONSE wait until its patience ends', async () => {
    const stream = newStream();
    const request = requestDraft();
    await appender.append(requestIntent(stream, request));
    proxy.open(false);
    const lost = appender.append(requestIntent(newStream()), 300);
    const kept = appender.append(responseIntent(stream, request.id), 20_000);
    await expect(lost).rejects.toMatchObject({ code: 'ledger_unavailable', retryAfter: 1 });
    proxy.open(true);
    expect(codes([await kept])).toEqual(['appended']);
    expect(codes([await appender.append(contractIntent(newStream()))])).toEqual(['appended']);
    await expectSound(database.db);
  });

  it('makes a follower wait and parks nothing', async () => {
    for (let i = 0; i < 5; i++) await appender.append(contractIntent(newStream()));
    await new Sequencer(database.db).drain();
    const worker = new FollowWorker(db, new Tallies());
    await enrol(database.db, 'tallies');
    proxy.open(false);
    for (let i = 0; i < 5; i++) await worker.catchUp();
    expect(worker.status()).toMatchObject({ handled: 0, last_error: expect.any(String) });
    proxy.open(true);
    await worker.catchUp();
    expect(worker.status()).toMatchObject({ handled: 10, last_error: null });
    expect(await parkedStreams(database.db, 'tallies')).toEqual([]);
    await expectSound(database.db);
  });

  it('while an agent is registered leaves one registration', async () => {
    proxy.breakNext('append', 'after');
    const result = await appender.append(
      { stream: 'default/agent/a', drafts: [newDraft('agent.registered', { version: '1' })], expectSeq: 0 },
      20_000,
    );
    expect(codes([result])).toEqual(['appended']);
    await expectSound(database.db);
  });
});
