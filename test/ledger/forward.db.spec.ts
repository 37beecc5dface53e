import { Appender } from '../../src/ledger/append.worker.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { followers, parkedStreams, takeLease } from '../../src/ledger/follow.postgres.js';
import { type Forwarder, type ForwardSettings, ForwardWorker } from '../../src/ledger/forward.worker.js';
import type { SequencedEvent } from '../../src/ledger/read.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { describeEachDatabase } from '../support/databases.js';
import { contractIntent, newStream } from '../support/intents.js';

const FAST: ForwardSettings = { leaseSeconds: 1, batch: 10, streams: 4, pauseMs: { first: 5, most: 20 } };
const until = async (done: () => boolean | Promise<boolean>) => {
  for (let i = 0; i < 500; i++) {
    if (await done()) return;
    await new Promise((next) => setTimeout(next, 10));
  }
  throw new Error('it did not happen within five seconds');
};

/** A peer outside the database. */
class Peer implements Forwarder {
  got: SequencedEvent[] = [];
  away = false;
  refuse: (event: SequencedEvent) => boolean = () => false;
  delayMs = 0;

  constructor(readonly name: string) {}

  async deliver(event: SequencedEvent, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    if (this.delayMs) await new Promise((next) => setTimeout(next, this.delayMs));
    signal.throwIfAborted();
    if (this.away) throw new Error('peer is away');
    if (this.refuse(event)) return { refused: `no to ${event.idx}` };
    this.got.push(event);
    return 'delivered';
  }
}

describeEachDatabase('a follower that forwards', (open) => {
  let db: Database;
  let serial = 0;
  let peer: Peer;
  const workers: ForwardWorker[] = [];
  const forward = async (owner = 'replica-1', to = peer) => {
    const worker = new ForwardWorker(db, to, owner, FAST);
    workers.push(worker);
    await worker.start();
    return worker;
  };
  const inOrder = (events: SequencedEvent[]) => {
    const seqs = new Map<string, number>();
    for (const { stream, seq } of events) {
      expect(seq).toBeGreaterThan(seqs.get(stream) ?? 0);
      seqs.set(stream, seq);
    }
  };

  beforeAll(async () => {
    db = (await open()).db;
    const appender = new Appender(db);
    const streams = Array.from({ length: 5 }, newStream);
    for (let round = 0; round < 3; round++) await Promise.all(streams.map((stream) => appender.append(contractIntent(stream))));
    await new Sequencer(db).drain();
  });
  beforeEach(() => {
    peer = new Peer(`peer${++serial}`);
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.drain();
  });

  it('delivers every event, each stream in its order', async () => {
    await forward();
    await until(() => peer.got.length === 30);
    inOrder(peer.got);
    await until(async () => (await followers(db)).some((f) => f.name === peer.name && f.lag === 0));
  });

  it('holds everything back while the peer is away and goes on where it was', async () => {
    peer.away = true;
    const worker = await forward();
    await until(async () => (await followers(db)).some((f) => f.name === peer.name && f.error === 'peer is away'));
    expect(worker.status()).toMatchObject({ delivered: 0, last_error: 'peer is away' });
    peer.away = false;
    await until(() => new Set(peer.got.map((e) => e.idx)).size === 30);
    inOrder(peer.got.filter((e, i) => peer.got.findIndex((o) => o.idx === e.idx) === i));
    expect(await parkedStreams(db, peer.name)).toEqual([]);
  });

  it('parks the stream of an event that the peer refuses for good, and delivers the rest of it when asked again', async () => {
    const stream = (await db.query<{ stream: string }>('SELECT stream FROM event WHERE seq = 3 LIMIT 1'))[0]!.stream;
    peer.refuse = (event) => event.stream === stream && event.seq === 3;
    const worker = await forward();
    await until(() => peer.got.length === 26);
    await until(async () => (await parkedStreams(db, peer.name)).length === 1);
    await worker.drain();
    expect(peer.got.filter((e) => e.stream === stream).map((e) => e.seq)).toEqual([1, 2]);
    peer.refuse = () => false;
    const next = await forward('replica-2');
    await next.retryParked();
    await until(async () => (await parkedStreams(db, peer.name)).length === 0);
    expect(peer.got.filter((e) => e.stream === stream).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('forwards from one replica at a time, and from the next when the first dies without a word', async () => {
    const first = await takeLease(db, 'unused', 'x', 1);
    expect(first).toBeUndefined(); // nobody enrolled under that name
    peer.delayMs = 5;
    const dead = await forward('dead');
    await until(() => peer.got.length > 3);
    // Its lease goes to another owner behind its back, as after a pause longer than the lease.
    await db.query(
      `UPDATE follower SET owner = 'heir', token = token + 1, until = clock_timestamp() + interval '5 seconds' WHERE name = $1`,
      [peer.name],
    );
    await until(async () => (await followers(db)).some((f) => f.name === peer.name && /lease was lost/.test(f.error ?? '')));
    await dead.drain();
    const [before] = (await followers(db)).filter((f) => f.name === peer.name);
    await forward('heir');
    await until(async () => (await followers(db)).some((f) => f.name === peer.name && f.lag === 0));
    expect(before!.cursor).toBeLessThan(29);
    expect(new Set(peer.got.map((e) => e.idx)).size).toBe(30); // repeated perhaps, skipped never
  });
});
