/**
 * The deep check every ledger test ends in. Written apart from src/audit on purpose: two readers of one format, each a check of the other.
 */
import { createHash } from 'node:crypto';
import { Tallies } from '../../src/contracts/tallies.follower.js';
import { tally } from '../../src/contracts/tally.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { enrol } from '../../src/ledger/follow.postgres.js';
import { FollowWorker } from '../../src/ledger/follow.worker.js';
import { payloadsOf } from '../../src/ledger/payload.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../../src/ledger/read.postgres.js';
import { Sequencer } from '../../src/ledger/sequence.worker.js';
import { until } from './until.js';

const sha256 = (...parts: (Buffer | string)[]) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest();

/** Sequences and follows what is left, then re-derives everything. `open`: how many REQUESTs may be without a RESPONSE. */
export async function expectSound(db: Database, { open = 0 } = {}): Promise<void> {
  const sequencer = new Sequencer(db);
  await enrol(db, 'tallies');
  const left = async (sql: string) => (await db.query<{ n: number }>(`SELECT ${sql}::int AS n`))[0]!.n;
  // Either does nothing while a replica has the turn.
  await until('everything has its place', async () => {
    await sequencer.drain();
    expect(sequencer.status()['last_error']).toBeNull();
    return (await left('(SELECT count(*) FROM pending)')) === 0;
  });
  await until('everything is counted', async () => {
    await new FollowWorker(db, new Tallies()).catchUp();
    return (await left(`(SELECT size - 1 FROM sequencer) - (SELECT cursor FROM follower WHERE name = 'tallies')`)) === 0;
  });

  const events = await db.query<EventRow>(`SELECT ${EVENT_COLUMNS} FROM event e ORDER BY e.stream, e.seq`);
  expectChains(events);
  await expectHeads(db, events);
  await expectPayloads(db, events);
  expect(expectLifecycles(events)).toBe(open);
  const stillOpen = await db.query<{ id: string }>('SELECT id FROM open_request ORDER BY id');
  expect(stillOpen).toHaveLength(open);
  await expectLeaves(db, events);
  await expectViews(db, events);
  await expectCheckpoints(db);
}

function expectChains(events: EventRow[]): void {
  let stream = '';
  let seq = 0;
  let head: string | null = null;
  for (const event of events) {
    if (event.stream !== stream) [stream, seq, head] = [event.stream, 0, null];
    const record = JSON.parse(event.record.toString('utf8')) as Record<string, unknown>;
    const hash = sha256(Buffer.from([0]), event.record).toString('hex');
    expect({ id: event.event_id, ...record }).toMatchObject({
      v: 1,
      id: event.event_id,
      stream,
      seq: seq + 1,
      prev: head,
      type: event.type,
    });
    expect(event.hash.toString('hex')).toBe(hash);
    expect(record['in_reply_to'] ?? null).toBe(event.in_reply_to);
    [seq, head] = [seq + 1, hash];
  }
}

async function expectHeads(db: Database, events: EventRow[]): Promise<void> {
  const last = new Map(events.map((e) => [e.stream, { seq: e.seq, head: e.hash.toString('hex') }]));
  const heads = await db.query<{ stream: string; seq: number; head: Buffer }>('SELECT stream, seq, head FROM stream_head');
  expect(new Map(heads.map((h) => [h.stream, { seq: h.seq, head: h.head.toString('hex') }]))).toEqual(last);
}

async function expectPayloads(db: Database, events: EventRow[]): Promise<void> {
  const payloads = await payloadsOf(
    db,
    events.map((event) => event.id),
  );
  const explains = erasures(events);
  for (const event of events) {
    const own = (payloads.get(event.id) ?? []).map(({ bytes }) => sha256(bytes.toString('base64url')).toString('base64url'));
    const { _sd = [] } = JSON.parse(event.record.toString('utf8')) as { _sd?: string[] };
    const unexplained = _sd.filter((digest) => !explains(event, digest));
    expect([event.event_id, own.filter((digest) => !_sd.includes(digest))]).toEqual([event.event_id, []]);
    expect([event.event_id, unexplained.filter((digest) => !own.includes(digest))]).toEqual([event.event_id, []]);
  }
}

/** Whether a digest may be without payload: a payload.erased event names it, its event or its stream. */
function erasures(events: EventRow[]): (event: EventRow, digest: string) => boolean {
  const named = new Set<string>();
  for (const { type, record } of events) {
    if (type !== 'payload.erased') continue;
    const order = JSON.parse(record.toString('utf8')) as { streams?: string[]; events?: string[]; disclosures?: { digest: string }[] };
    for (const name of [...(order.streams ?? []), ...(order.events ?? []), ...(order.disclosures ?? []).map((d) => d.digest)])
      named.add(name);
  }
  return (event, digest) => named.has(event.stream) || named.has(event.event_id) || named.has(digest);
}

/** Returns the number of open REQUESTs. */
function expectLifecycles(events: EventRow[]): number {
  const open = new Set<string>();
  const sealed = new Set<string>();
  for (const event of events) {
    if (event.type.startsWith('contract.')) expect(sealed.has(event.stream)).toBe(false);
    if (event.type === 'contract.request') open.add(event.event_id);
    if (event.type === 'contract.response') expect([event.event_id, open.delete(event.in_reply_to!)]).toEqual([event.event_id, true]);
    if (event.type === 'session.closed') sealed.add(event.stream);
  }
  return open.size;
}

async function expectLeaves(db: Database, events: EventRow[]): Promise<void> {
  const leaves = await db.query<{ idx: number; event: number; hash: Buffer; sequenced_at: Date }>('SELECT * FROM leaf ORDER BY idx');
  expect(leaves.map((l) => l.idx)).toEqual(leaves.map((_, i) => i));
  expect(leaves.map((l) => l.event).sort((a, b) => a - b)).toEqual(events.map((e) => e.id).sort((a, b) => a - b));
  const byId = new Map(events.map((e) => [e.id, e]));
  const seqs = new Map<string, number>();
  let at = 0;
  for (const leaf of leaves) {
    const event = byId.get(leaf.event)!;
    expect(leaf.hash.equals(event.hash)).toBe(true);
    expect(event.seq).toBe((seqs.get(event.stream) ?? 0) + 1);
    expect(leaf.sequenced_at.getTime()).toBeGreaterThanOrEqual(at);
    seqs.set(event.stream, event.seq);
    at = leaf.sequenced_at.getTime();
  }
  expect(await db.query('SELECT id FROM pending')).toEqual([]);
  const [state] = await db.query<{ size: number }>('SELECT size FROM sequencer');
  expect(state!.size).toBe(leaves.length);
}

/** Every checkpoint that is kept has the root of the leaves it covers, so no two of them can disagree. */
async function expectCheckpoints(db: Database): Promise<void> {
  const leaves = await db.query<{ hash: Buffer }>('SELECT hash FROM leaf ORDER BY idx');
  const roots: string[] = [sha256().toString('base64')];
  /** Whole subtrees from left to right, smaller and smaller. */
  const edge: { leaves: number; hash: Buffer }[] = [];
  for (const { hash } of leaves) {
    edge.push({ leaves: 1, hash });
    while (edge.length > 1 && edge.at(-1)!.leaves === edge.at(-2)!.leaves) {
      const [left, right] = edge.splice(-2) as [(typeof edge)[0], (typeof edge)[0]];
      edge.push({ leaves: 2 * left.leaves, hash: sha256(Buffer.of(1), left.hash, right.hash) });
    }
    const hashes = edge.map((subtree) => subtree.hash);
    roots.push(hashes.reduceRight((right, left) => sha256(Buffer.of(1), left, right)).toString('base64'));
  }
  const signed = await db.query<{ origin: string; size: number; root: Buffer; note: string }>(
    'SELECT origin, size, root, note FROM checkpoint',
  );
  for (const { origin, size, root, note } of signed) {
    expect([origin, size, root.toString('base64')]).toEqual([origin, size, roots[size]]);
    expect(note.slice(0, note.indexOf('\n\n') + 1)).toBe(`${origin}\n${size}\n${roots[size]}\n`);
  }
  const logs = await db.query<{ origin: string; size: number; root: Buffer | null }>(
    'SELECT origin, size, root FROM log WHERE root IS NOT NULL',
  );
  for (const { size, root } of logs) expect([size, root!.toString('base64')]).toEqual([size, roots[size]]);
}

async function expectViews(db: Database, events: EventRow[]): Promise<void> {
  const fresh = tally(events);
  const byKey = <T>(rows: T[]) => rows.map((r) => JSON.stringify(r)).sort();
  expect(byKey(await db.query('SELECT tenant, agent, capability, status, n FROM contract_tally'))).toEqual(byKey(fresh.contracts));
  expect(byKey(await db.query('SELECT tenant, state, n FROM session_tally'))).toEqual(byKey(fresh.sessions));
}
