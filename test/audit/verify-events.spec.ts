import { disclose, disclosureDigest } from '../../src/ledger/record.js';
import { type Damage, expectNamed, put, type Sound } from './damage.js';
import { OTHER, SESSION, SYSTEM, soundLedger } from './paper-ledger.js';

const without = ({ ledger }: Sound, event: Sound['first']) => ledger.events.splice(ledger.events.indexOf(event), 1);
const digestsOf = ({ row }: Sound['first']) => (JSON.parse(row.record.toString('utf8')) as { _sd: string[] })._sd;
const payload = (name: string) => ({ ...disclose('A'.repeat(22), name, 1), keyId: null });

/** The event's payload and digest replaced together, as only its author could. */
function disclosing({ ledger, third }: Sound, text: string): void {
  const bytes = Buffer.from(text);
  third.payload[0]!.bytes = bytes;
  ledger.rewrite(third, { _sd: [disclosureDigest(bytes)] });
}

/** Valid JSON only after decoding: the byte 0xff stands where U+FFFD is read. */
function undecodable({ ledger, third }: Sound): void {
  const text = third.row.record.toString('latin1').replace('echo_agent', 'echo\xffagent');
  third.row.to_agent = 'echo\ufffdagent';
  ledger.replace(third, Buffer.from(text, 'latin1'));
}

function spaced({ ledger, third }: Sound): void {
  ledger.replace(third, Buffer.from(third.row.record.toString('utf8').replace(':', ': ')));
}

/** Seq 4 rewritten to stand beside seq 3, on the same predecessor. */
function forked({ ledger, answer, reply }: Sound): void {
  ledger.rewrite(reply, { seq: 3, prev: answer.row.hash.toString('hex') });
  reply.row.seq = '3';
}

function renamedAgent({ ledger, first }: Sound): void {
  ledger.rewrite(first, { to: 'other' });
  first.row.to_agent = 'other';
}

const records: Damage[] = [
  ['a record that is no JSON', 'canonical bytes', (s) => s.ledger.replace(s.third, Buffer.from('{"v":1')), 'third', /not a JSON object/],
  ['a record that is an array', 'canonical bytes', (s) => s.ledger.replace(s.third, Buffer.from('[]')), 'third', /not a JSON object/],
  ['a record with a space in it', 'canonical bytes', spaced, 'third', /not the canonical form/],
  ['a record that only decodes to canonical text', 'canonical bytes', undecodable, 'third', /not the canonical form/],
  ['a hash that is not the hash', 'record hash', (s) => put(s.first.row, { hash: Buffer.alloc(32, 7) }), 'first', /"[0-9a-f]{64}".*"0707/],
  ['a member that is null', 'record rules', (s) => s.ledger.rewrite(s.third, { to_version: null }), 'third', /to_version" is null/],
  ['a null under an unknown name', 'record rules', (s) => s.ledger.rewrite(s.third, { future: null }), 'third', /future" is null/],
  ['a time without milliseconds', 'record rules', (s) => s.ledger.rewrite(s.third, { time: '2026-11-20T10:00:00Z' }), 'third', /"time"/],
  ['digests out of order', 'record rules', (s) => s.ledger.rewrite(s.first, { _sd: digestsOf(s.first).reverse() }), 'first', /"_sd"/],
  [
    'a digest twice',
    'record rules',
    (s) => s.ledger.rewrite(s.third, { _sd: [...digestsOf(s.third), ...digestsOf(s.third)] }),
    'third',
    /_sd/,
  ],
  [
    'a stream of no known kind',
    'record rules',
    (s) => s.ledger.rewrite(s.third, { stream: 'default/chat/1' }),
    'third',
    /default\/chat\/1/,
  ],
  ['a seq that is no number', 'record rules', (s) => s.ledger.rewrite(s.third, { seq: '5' }), 'third', /"seq" is "5"/],
  ['a REQUEST born completed', 'record rules', (s) => s.ledger.rewrite(s.third, { status: 'completed' }), 'third', /instead of "pending"/],
  [
    'a RESPONSE to nothing',
    'record rules',
    (s) => put(s, { over: s.ledger.append(SYSTEM, 'contract.response', { status: 'failed' }) }),
    'over',
    /no in_reply_to/,
  ],
];

const streams: Damage[] = [
  [
    'a missing event, by its place',
    'chain',
    (s) => without(s, s.second),
    { stream: SESSION, seq: 3 },
    /^seq 3 is missing: after seq 2 .* seq 4/,
  ],
  [
    'a missing first event',
    'chain',
    (s) => without(s, s.first),
    { stream: SESSION, seq: 1 },
    /^seq 1 is missing: at the start of the stream/,
  ],
  ['two events in one place', 'chain', forked, 'reply', /two events for one place/],
  ['a rewritten record, by the next link', 'chain', renamedAgent, 'answer', /^prev is ".*", but seq 1 \(event .*\) hashes to/],
  ['a second RESPONSE', 'lifecycle', (s) => put(s, { third: s.ledger.response(s.second) }), 'third', /no open REQUEST of this stream/],
  [
    'a RESPONSE elsewhere',
    'lifecycle',
    (s) => put(s, { over: s.ledger.answer(SYSTEM, s.third) }),
    'over',
    /no open REQUEST of this stream/,
  ],
  ['a REQUEST after the seal', 'lifecycle', (s) => put(s, { over: s.ledger.request(OTHER) }), 'over', /follows session.closed at seq 3/],
  [
    'a RESPONSE after the seal',
    'lifecycle',
    (s) => put(s, { over: s.ledger.answer(OTHER, s.third) }),
    'over',
    /follows session.closed at seq 3/,
  ],
  [
    'a seal over an open REQUEST',
    'lifecycle',
    (s) => put(s, { seal: s.ledger.append(SESSION, 'session.closed') }),
    'seal',
    /while 1 REQUESTs/,
  ],
  ['a second seal', 'lifecycle', (s) => put(s, { seal: s.ledger.append(OTHER, 'session.closed') }), 'seal', /a second time/],
  ['a seal of the wrong length', 'lifecycle', (s) => s.ledger.rewrite(s.seal, { last_seq: 1 }), 'seal', /last_seq is 1, expected 2/],
  ['a seal over another head', 'lifecycle', (s) => s.ledger.rewrite(s.seal, { last_head: '0'.repeat(64) }), 'seal', /last_head is "000/],
];

const payloads: Damage[] = [
  [
    'payload of another digest',
    'payload digests',
    (s) => put(s.first.payload[1]!, { bytes: Buffer.from('[]') }),
    'first',
    /not in the record/,
  ],
  ['payload never disclosed', 'payload digests', (s) => s.third.payload.push(payload('more')), 'third', /"more" has the digest/],
  ['payload under another name', 'payload digests', (s) => put(s.third.payload[0]!, { name: 'result' }), 'third', /another name inside/],
  [
    'payload under a key',
    'payload digests',
    (s) => put(s.third.payload[0]!, { keyId: 'k1', sealed: 'no such key' }),
    'third',
    /names key "k1", which does not exist/,
  ],
  [
    'payload not in canonical form',
    'payload digests',
    (s) => disclosing(s, `["${'A'.repeat(22)}", "parameters",1]`),
    'third',
    /canonical form/,
  ],
  ['payload with little salt', 'payload digests', (s) => disclosing(s, '["AAAA","parameters",1]'), 'third', /no salt of 128 bits/],
  ['payload that is no disclosure', 'payload digests', (s) => disclosing(s, '{"parameters":1}'), 'third', /not \[salt, name, value\]/],
  [
    'payload of no event',
    'payload digests',
    (s) => s.ledger.strayPayload.push({ event: '77', ...payload('more') }),
    {},
    /event row 77, which does/,
  ],
  [
    'payload that lost its event, by that event',
    'payload digests',
    (s) => s.ledger.strayPayload.push({ event: '77', ...s.third.payload.pop()! }),
    'third',
    /event row 77, which does not exist; it belongs to event/,
  ],
];

describe('verify', () => {
  it.each([...records, ...streams, ...payloads])('names %s', (...damage) => expectNamed(damage, 'invalid'));

  const COLUMNS = 'event_id stream seq type time task cause in_reply_to from_agent to_agent capability status error_code'.split(' ');
  it.each(COLUMNS)('names an event whose column %s differs from its record', (column) => {
    for (const wrong of [column === 'seq' ? '6' : 'wrong', ...(column === 'seq' ? [] : [null])]) {
      const { ledger, third, first } = soundLedger();
      for (const { row } of [third, first]) {
        if ((row as unknown as Record<string, unknown>)[column] === wrong) continue;
        Object.assign(row, { [column]: wrong });
        const what = expect.stringMatching(`^column ${column} is (nothing|"?${wrong}"?), the record says`);
        const told = { check: 'columns', severity: 'invalid', event_id: row.event_id, what };
        expect(ledger.verdict().findings).toContainEqual(expect.objectContaining(told));
      }
    }
  });

  it('calls payload that is gone without an erasure incomplete', () => {
    const gone: Damage = ['', 'payload digests', (s) => s.third.payload.pop(), 'third', /^1 digest of the record has no row/];
    expectNamed(gone, 'incomplete');
  });

  it('counts payload that stands there and cannot be opened here as neither gone nor erased', () => {
    for (const [erased, verdict] of [
      [true, 'valid'],
      [false, 'incomplete'],
    ] as const) {
      const { ledger, first } = soundLedger();
      const gone = first.payload.pop()!;
      put(first.payload[0]!, { keyId: 'k1', sealed: 'master key not held' });
      const disclosure = { event: first.row.event_id, name: gone.name, digest: disclosureDigest(gone.bytes) };
      if (erased) ledger.append(SYSTEM, 'payload.erased', { disclosures: [disclosure] });
      const told = ledger.verdict();
      expect([told.verdict, told.erased.events]).toEqual([verdict, erased ? 1 : 0]);
      if (!erased) expect(told.first?.what).toMatch(/^1 digest of the record has no row/);
    }
  });
});
