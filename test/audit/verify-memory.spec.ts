import type { Members } from '../../src/ledger/record.js';
import { type PaperEvent, SESSION, soundLedger } from './paper-ledger.js';

/** A sound ledger with a memory block of its first session, seq 1 to 4, recorded after `later` more events. */
function compressed(change: (members: Members) => Members = (members) => members) {
  const sound = soundLedger();
  const source: Members = { from_seq: 1, to_seq: 4, source_hash: sound.reply.row.hash.toString('hex') };
  const block: PaperEvent = sound.ledger.append(SESSION, 'session.compressed', change(source), { memory: { summary: 'secret' } });
  return { ...sound, block };
}

describe('a ledger with a memory block', () => {
  it('is as valid as without', () => {
    const { verdict, findings } = compressed().ledger.verdict();
    expect([verdict, findings]).toEqual(['valid', []]);
  });

  it.each<[string, (members: Members) => Members, string, RegExp]>([
    [
      'a source that hashes to something else',
      (m) => ({ ...m, source_hash: 'ab'.repeat(32) }),
      'lifecycle',
      /source_hash is "abab.* seq 4 hashes to/,
    ],
    ['the hash of another place', (m) => ({ ...m, to_seq: 3 }), 'lifecycle', /source_hash .* seq 3 hashes to/],
    ['a source that comes after it', (m) => ({ ...m, to_seq: 9 }), 'lifecycle', /at seq 6 says it was made of seq 1 to 9/],
    ['itself as its source', (m) => ({ ...m, to_seq: 6 }), 'lifecycle', /seq 1 to 6/],
    ['a source that ends before it begins', (m) => ({ ...m, from_seq: 5 }), 'lifecycle', /seq 5 to 4/],
    ['a place that is no number', (m) => ({ ...m, to_seq: '4' as never }), 'record rules', /"to_seq" is "4"/],
    ['a hash that is none', (m) => ({ ...m, source_hash: 'secret' }), 'record rules', /source_hash/],
  ])('that names %s is invalid', (_, change, check, detail) => {
    const { ledger, block } = compressed(change);
    const { verdict, findings } = ledger.verdict();
    expect(verdict).toBe('invalid');
    expect(findings).toEqual([expect.objectContaining({ check, event_id: block.row.event_id, what: expect.stringMatching(detail) })]);
  });

  it('may have it behind the seal: it is no contract event', () => {
    const { ledger, third } = soundLedger();
    ledger.response(third);
    const seal = ledger.append(SESSION, 'session.closed', { reason: 'requested' });
    ledger.append(SESSION, 'session.compressed', { from_seq: 1, to_seq: 6, source_hash: ledger.events.at(-2)!.row.hash.toString('hex') });
    expect(seal.row.seq).toBe('7');
    expect(ledger.verdict().findings).toEqual([]);
  });
});
