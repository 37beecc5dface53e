import { leafDigest } from '../../src/audit/verify-sequence.js';
import { type Damage, expectNamed, put, type Sound } from './damage.js';
import { SESSION, soundLedger } from './paper-ledger.js';

const GHOST = 'default/session/ghost';
const head = ({ ledger }: Sound) => ledger.heads.get(SESSION)!;
const leaf = ({ third }: Sound) => third.standing.leaves[0]!;
const beheaded = ({ ledger }: Sound) => ledger.heads.delete(SESSION);
const ghost = ({ ledger }: Sound) => ledger.heads.set(GHOST, { seq: '4', head: Buffer.alloc(32), base: Buffer.alloc(0) });
const without = ({ ledger }: Sound, event: Sound['first']) => ledger.events.splice(ledger.events.indexOf(event), 1);

/** The global order with the leaf at `idx` changed. */
function order({ ledger }: Sound, idx: number, change: object): void {
  ledger.order = ledger.leaves().map((one) => (Number(one.idx) === idx ? { ...one, ...change } : one));
}

/** The leaves of two neighbours exchanged, and sealed again. */
function swapped({ answer, second }: Sound): void {
  const [a, b] = [answer.standing.leaves[0]!, second.standing.leaves[0]!];
  Object.assign(a, { idx: b.idx, at: b.at });
  Object.assign(b, { idx: String(Number(b.idx) - 1), at: b.at - 1000 });
  for (const one of [a, b]) one.digest = Buffer.from(leafDigest(one), 'hex');
}

const heads: Damage[] = [
  ['a stream without a head', 'stream heads', beheaded, 'third', /no row in stream_head/],
  ['a head without a stream', 'stream heads', ghost, { stream: GHOST, seq: 4 }, /which has no event/],
  ['a head behind its stream', 'stream heads', (s) => put(head(s), { seq: '4' }), 'third', /says seq 4, the last event has seq 5/],
  ['a head ahead of its stream', 'stream heads', (s) => without(s, s.third), 'reply', /says seq 5, the last event has seq 4/],
  ['a head of another hash', 'stream heads', (s) => put(head(s), { head: Buffer.alloc(32, 1) }), 'third', /says head "0101/],
  ['a head built on nothing', 'stream heads', (s) => put(head(s), { base: Buffer.alloc(32, 1) }), 'third', /built on "0101/],
  ['a head built on itself', 'stream heads', (s) => put(head(s), { base: s.third.row.hash }), 'third', /no earlier event/],
];

const ANSWERED = '01K00000000000000000000003';
const answered = (s: Sound) => s.ledger.open.get(SESSION)!.push(s.second.row.event_id);

const tables: Damage[] = [
  ['an open REQUEST nobody will close', 'open requests', (s) => s.ledger.open.set(SESSION, []), 'third', /nobody will close it/],
  ['a row for an answered REQUEST', 'open requests', answered, { event_id: ANSWERED, stream: SESSION }, /no open REQUEST/],
  ['a leaf of another hash', 'leaves', (s) => put(leaf(s), { hash: Buffer.alloc(32) }), 'third', /leaf 5/],
  ['a leaf with a wrong digest', 'leaves', (s) => put(leaf(s), { digest: Buffer.alloc(32) }), 'third', /the columns of leaf 5 hash to/],
  ['a leaf moved by a microsecond', 'leaves', (s) => put(leaf(s), { at: leaf(s).at + 1 }), 'third', /no whole millisecond/],
  ['an event with two leaves', 'leaves', (s) => s.third.standing.leaves.push({ ...leaf(s) }), 'third', /has 2 leaves: 5, 5/],
  ['an event with a leaf that still waits', 'leaves', (s) => put(s.third.standing, { pending: 0 }), 'third', /still waits in pending/],
  ['leaves against the order of their stream', 'leaves', swapped, 'second', /leaf 1 does not come after leaf 2/],
  ['a wait of no event', 'leaves', (s) => s.ledger.strayPending.push('88'), {}, /pending names event row 88/],
  ['a leaf of no event', 'leaves', (s) => order(s, 4, { lost: true }), { idx: 4 }, /leaf 4 names event row 5/],
  ['a gap in the order', 'sequence', (s) => order(s, 3, { idx: '2' }), { idx: 2 }, /leaf 2 stands where leaf 3 is expected/],
  ['a leaf that jumps ahead', 'sequence', (s) => order(s, 3, { idx: '5' }), { idx: 3 }, /leaves 3 to 4 are missing: the next is leaf 5/],
  ['a leaf before its time', 'sequence', (s) => order(s, 4, { at: 5000 }), { idx: 4 }, /earlier than the leaf before/],
  [
    'a sequencer of another size',
    'sequence',
    (s) => put(s.ledger.sequencer!, { size: '10' }),
    { idx: 9 },
    /says size 10, the leaves end at 9/,
  ],
  ['a sequencer whose time went back', 'sequence', (s) => put(s.ledger.sequencer!, { at: 0 }), { idx: 9 }, /sequencer says 0/],
  ['no sequencer', 'sequence', (s) => put(s.ledger, { sequencer: null }), { idx: 9 }, /has no row/],
  ['a session under another name', 'sessions', (s) => put(s.ledger.sessions[0]!, { name: 'his chat' }), 'first', /another name/],
  ['a session of another tenant', 'sessions', (s) => put(s.ledger.sessions[0]!, { tenant: 'acme' }), 'first', /no session of that tenant/],
  [
    'a session of no stream',
    'sessions',
    (s) => put(s.ledger.sessions[0]!.streams[0]!, { first: null }),
    { stream: SESSION },
    /no first event/,
  ],
];

/** `started` is the last event, and loses its leaf. */
function unplaced({ ledger, started }: Sound, pending: number | null = null): void {
  started.standing = { leaves: [], pending: pending === null ? null : Date.parse(started.row.time) * 1000 + pending };
  ledger.sequencer = { size: '8', at: ledger.sequencer!.at };
}

describe('verify', () => {
  it.each([...heads, ...tables])('names %s', (...damage) => expectNamed(damage, 'invalid'));

  const incomplete: Damage[] = [
    ['an event without a leaf', 'leaves', (s) => unplaced(s), 'started', /has no leaf and does not wait/],
    ['an event that waits for its leaf longer than 10 s', 'leaves', (s) => unplaced(s, 11_000_000), 'started', /waits since 11 s/],
  ];
  it.each(incomplete)('calls %s incomplete', (...damage) => expectNamed(damage, 'incomplete'));

  it('accepts an event that waits for its leaf no longer than 10 s', () => {
    const sound = soundLedger();
    unplaced(sound, 9_000_000);
    expect(sound.ledger.verdict()).toMatchObject({ verdict: 'valid' });
  });

  it('names the event that a leaf without one belongs to', () => {
    const sound = soundLedger();
    const { ledger, third } = sound;
    order(sound, 5, { event: '77', lost: true });
    third.standing.leaves = [];
    const { first } = ledger.verdict();
    expect(first).toMatchObject({ event_id: third.row.event_id, stream: SESSION, seq: 5, idx: 5, severity: 'invalid' });
    expect(first?.what).toMatch(/leaf 5 names event row 77, which does not exist; by its hash it belongs to event/);
  });
});
