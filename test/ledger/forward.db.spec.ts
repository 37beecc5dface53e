import { OrchestratorError } from '../../src/kernel/errors.js';
import { Appender } from '../../src/ledger/append.worker.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { followers, takeLease } from '../../src/ledger/follow.postgres.js';
import { FORWARD_DEFAULTS, type Forwarder, type ForwardSettings, ForwardWorker } from '../../src/ledger/forward.worker.js';
import { askForRetry, parkedStreams, replayFrom, replayStream } from '../../src/ledger/park.postgres.js';
import type { SequencedEvent } from '../../src/ledger/read.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { describeEachDatabase } from '../support/databases.js';
import { contractIntent, newStream } from '../support/intents.js';

const FAST: ForwardSettings = { ...FORWARD_DEFAULTS, leaseSeconds: 1, batch: 10, streams: 4, pauseMs: { first: 5, most: 20 } };
const until = async (done: () => boolean | Promise<boolean>) => {
  for (let i = 0; i < 2000; i++) {
    if (await done()) return;
    await new Promise((next) => setTimeout(next, 10));
  }
  throw new Error('it did not happen within twenty seconds');
};

/** A peer outside the database. */
class Peer implements Forwarder<SequencedEvent> {
  got: SequencedEvent[] = [];
  asked: SequencedEvent[] = [];
  probes = 0;
  told: string[] = [];
  away: (error: Error) => void = (error) => this.told.push(`away: ${error.message}`);
  isAway = false;
  fails: (event: SequencedEvent) => Error | null = () => null;
  refuses: (event: SequencedEvent) => boolean = () => false;
  delayMs = 0;

  constructor(readonly name: string) {}

  async prepare(events: readonly SequencedEvent[]) {
    return new Map(events.map((event) => [event.event_id, event]));
  }

  async deliver(event: SequencedEvent, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    if (this.delayMs) await new Promise((next) => setTimeout(next, this.delayMs));
    signal.throwIfAborted();
    this.asked.push(event);
    if (this.isAway) throw new Error('peer is away');
    const error = this.fails(event);
    if (error) throw error;
    if (this.refuses(event)) return { refused: `no to ${event.idx}` };
    this.got.push(event);
    return 'delivered';
  }

  async probe() {
    this.probes += 1;
    if (this.isAway) throw new Error('peer is away');
  }

  back(delivered: number) {
    this.told.push(`back: ${delivered}`);
  }
}

describeEachDatabase('a follower that forwards', (open) => {
  let db: Database;
  let serial = 0;
  let peer: Peer;
  const workers: ForwardWorker<SequencedEvent>[] = [];
  const forward = async (owner = 'replica-1', settings: Partial<ForwardSettings> = {}) => {
    const worker = new ForwardWorker(db, peer, owner, { ...FAST, ...settings });
    workers.push(worker);
    await worker.start();
    return worker;
  };
  const own = async () => (await followers(db)).find((f) => f.name === peer.name)!;
  const caughtUp = () => until(async () => (await own()).lag === 0 && (await parkedStreams(db, peer.name)).length === 0);
  const idxs = (events: readonly SequencedEvent[]) => events.map((event) => event.idx);
  /** The first time each event was taken: of every stream in its order. */
  const inOrder = (events: readonly SequencedEvent[]) => {
    const seqs = new Map<string, number>();
    for (const { stream, seq } of events.filter((e, i) => events.findIndex((o) => o.idx === e.idx) === i)) {
      expect(seq).toBe((seqs.get(stream) ?? 0) + 1);
      seqs.set(stream, seq);
    }
  };
  const someStream = async () => (await db.query<{ stream: string }>('SELECT stream FROM event WHERE seq = 3 LIMIT 1'))[0]!.stream;

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
    await caughtUp();
    expect(peer.told).toEqual([]);
  });

  it('may begin with the next event instead of the first', async () => {
    const worker = await forward('replica-1', { begin: 'next' });
    expect(await own()).toMatchObject({ cursor: 29, lag: 0 });
    await worker.drain();
    expect(peer.asked).toEqual([]);
  });

  it('holds everything back while the peer is away, asks before it sends again, and says so once each time', async () => {
    peer.isAway = true;
    const worker = await forward('replica-1', { batch: 100 });
    await until(async () => (await own()).error === 'peer is away' && peer.probes >= 5);
    expect(worker.status()).toMatchObject({ delivered: 0, last_error: 'peer is away' });
    expect(peer.asked.length).toBe(5); // the first round: one event of each stream, and nothing since
    peer.isAway = false;
    await caughtUp();
    expect(peer.got.length).toBe(30);
    inOrder(peer.got);
    await until(() => peer.told.length === 2);
    expect(peer.told).toEqual(['away: peer is away', 'back: 30']);
  });

  it('repeats nothing that was taken before the peer went away in the middle of a batch', async () => {
    peer.fails = () => (peer.got.length < 13 ? null : new Error('gone'));
    await forward('replica-1', { batch: 100 });
    await until(async () => (await own()).error === 'gone');
    peer.fails = () => null;
    await caughtUp();
    expect(peer.got.length).toBe(30);
    expect(new Set(idxs(peer.got)).size).toBe(30);
    inOrder(peer.got);
  });

  it('delivers through a peer that fails every other time, losing and reordering nothing', async () => {
    let n = 0;
    peer.fails = () => (++n % 2 ? new Error('hiccup') : null);
    await forward();
    await caughtUp();
    expect(peer.got.length).toBe(30);
    inOrder(peer.got);
  });

  it('waits as long as the peer asks', async () => {
    let first = 0;
    peer.fails = () => {
      if (first > 0) return null;
      first = Date.now();
      return new OrchestratorError('overloaded', 'not so fast', { retryAfter: 1 });
    };
    await forward('replica-1', { streams: 1, batch: 1 });
    await caughtUp();
    expect(Date.now() - first).toBeGreaterThanOrEqual(1000);
  });

  it('lets an event that fails alone step aside with its stream, and delivers both by itself later', async () => {
    const stream = await someStream();
    let broken = true;
    peer.fails = (event) => (broken && event.stream === stream && event.seq === 3 ? new Error('trips over it') : null);
    await forward();
    await until(() => peer.got.length === 26);
    expect(peer.got.filter((e) => e.stream === stream).map((e) => e.seq)).toEqual([1, 2]);
    await until(async () => (await own()).retrying === 1);
    expect(await own()).toMatchObject({ parked: 0 });
    await until(async () => (await parkedStreams(db, peer.name))[0]!.tries > FAST.tries); // not refused: it is tried for ever
    broken = false;
    await caughtUp();
    inOrder(peer.got);
    expect(peer.got.length).toBe(30);
  });

  it('parks the stream of an event that the peer refuses N times, and delivers the rest of it when asked', async () => {
    const stream = await someStream();
    peer.refuses = (event) => event.stream === stream && event.seq === 3;
    const worker = await forward('replica-1', { tries: 3 });
    await until(() => peer.got.length === 26);
    await until(async () => (await own()).parked === 1);
    const asked = () => peer.asked.filter((e) => e.stream === stream && e.seq === 3).length;
    expect(asked()).toBe(3);
    await new Promise((wake) => setTimeout(wake, 1200));
    expect(asked()).toBe(3);
    await worker.drain();
    expect(peer.got.filter((e) => e.stream === stream).map((e) => e.seq)).toEqual([1, 2]);
    peer.refuses = () => false;
    await forward('replica-2');
    expect(await askForRetry(db, peer.name)).toBe(1);
    await caughtUp();
    expect(peer.got.filter((e) => e.stream === stream).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('delivers a stream again from its first event, or everything from an idx on, when asked to replay', async () => {
    const stream = await someStream();
    await forward();
    await caughtUp();
    await replayStream(db, peer.name, stream);
    await until(() => peer.got.length === 36);
    expect(peer.got.slice(30).map((e) => [e.stream, e.seq])).toEqual([1, 2, 3, 4, 5, 6].map((seq) => [stream, seq]));
    await caughtUp();
    expect(await db.transaction((tx) => replayFrom(tx, peer.name, 12))).toBe(29);
    await until(() => peer.got.length === 54);
    expect(idxs(peer.got.slice(36)).sort((a, b) => a - b)).toEqual(Array.from({ length: 18 }, (_, i) => 12 + i));
    await caughtUp();
  });

  it('reads no more payload at once than it may hold, and an event larger than that alone', async () => {
    const sizes: number[] = [];
    const prepare = peer.prepare;
    peer.prepare = (events) => {
      sizes.push(events.length);
      return prepare(events);
    };
    await forward('replica-1', { bytes: 1 });
    await caughtUp();
    expect(new Set(sizes)).toEqual(new Set([1]));
    inOrder(peer.got);
  });

  it('forwards from one replica at a time, and from the next when the first dies without a word', async () => {
    const first = await takeLease(db, 'unused', { owner: 'x', seconds: 1 });
    expect(first).toBeUndefined(); // nobody enrolled under that name
    peer.delayMs = 5;
    const dead = await forward('dead');
    await until(() => peer.got.length > 3);
    // Its lease goes to another owner behind its back, as after a pause longer than the lease.
    await db.query(
      `UPDATE follower SET owner = 'heir', token = token + 1, until = clock_timestamp() + interval '5 seconds' WHERE name = $1`,
      [peer.name],
    );
    await until(async () => /lease was lost/.test((await own()).error ?? ''));
    await dead.drain();
    const before = await own();
    await forward('heir');
    await caughtUp();
    expect(before.cursor).toBeLessThan(29);
    expect(new Set(idxs(peer.got)).size).toBe(30); // repeated perhaps, skipped never
  });

  it('writes nothing while there is nothing to forward', async () => {
    await forward();
    await caughtUp();
    const token = async () => (await db.query<{ token: number }>('SELECT token FROM follower WHERE name = $1', [peer.name]))[0]!.token;
    await new Promise((wake) => setTimeout(wake, 200));
    const before = await token();
    await new Promise((wake) => setTimeout(wake, 2200)); // two polls
    expect(await token()).toBe(before);
  });
});
