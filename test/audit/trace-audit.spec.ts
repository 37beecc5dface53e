import { type CopiedEvent, type Expected, TraceComparison } from '../../src/audit/trace-audit.js';

const copy = (seq: number, more: CopiedEvent['data'] = {}): CopiedEvent => ({
  event_type: seq % 2 ? 'contract.request' : 'contract.response',
  data: {
    event_id: `E${seq}`,
    stream: 'default/session/S',
    seq,
    hash: `h${seq}`,
    payload: { n: [seq, { deep: true }] },
    erased: false,
    ...more,
  },
});
const ledger = (...seqs: number[]): Expected[] => seqs.map((seq) => ({ event_id: `E${seq}`, seq, copy: copy(seq), passage: 'passed' }));
const audit = (held: CopiedEvent[], expected: Expected[]) => {
  const comparison = new TraceComparison(held);
  for (const one of expected) comparison.compare(one);
  return comparison.result('first');
};

describe('the comparison of a session at Trace with the ledger', () => {
  it('finds nothing where both are the same, whatever else Trace holds of the session', () => {
    const other = { event_type: 'user_note.added', data: { text: 'hello' } };
    expect(audit([copy(1), other, copy(2)], ledger(1, 2))).toEqual({
      session_id: 'first',
      verdict: 'same',
      events: 2,
      held: 2,
      missing: [],
      repeated: [],
      different: [],
      misplaced: [],
      unknown: [],
      found: { missing: 0, repeated: 0, different: 0, misplaced: 0, unknown: 0 },
    });
  });

  it('names what is missing, and why it may be', () => {
    const [first, second, third] = ledger(1, 2, 3);
    const expected: Expected[] = [{ ...first! }, { ...second!, passage: 'parked' }, { ...third!, passage: 'waiting' }];
    expect(audit([], expected)).toMatchObject({
      verdict: 'missing',
      missing: [
        { event_id: 'E1', seq: 1, why: 'passed' },
        { event_id: 'E2', seq: 2, why: 'parked' },
        { event_id: 'E3', seq: 3, why: 'waiting' },
      ],
    });
  });

  it('names what came more than once, which is no fault', () => {
    expect(audit([copy(1), copy(2), copy(1), copy(1)], ledger(1, 2))).toMatchObject({
      verdict: 'same',
      repeated: [{ event_id: 'E1', seq: 1, times: 3 }],
    });
  });

  it.each<[string, CopiedEvent, string[]]>([
    ['a changed member', copy(1, { hash: 'other' }), ['hash']],
    ['a change deep inside', copy(1, { payload: { n: [1, { deep: false }] } }), ['payload']],
    [
      'a member that is gone',
      { ...copy(1), data: Object.fromEntries(Object.entries(copy(1).data).filter(([name]) => name !== 'hash')) },
      ['hash'],
    ],
    ['a member too many', copy(1, { note: 'added' }), ['note']],
    ['another type', { ...copy(1), event_type: 'contract.response' }, ['event_type']],
  ])('names %s', (_, held, fields) => {
    expect(audit([held, copy(2)], ledger(1, 2))).toMatchObject({ verdict: 'different', different: [{ event_id: 'E1', seq: 1, fields }] });
  });

  it('names a change in a repetition too', () => {
    expect(audit([copy(1), copy(2), copy(2, { seq: 9 })], ledger(1, 2)).different).toEqual([{ event_id: 'E2', seq: 2, fields: ['seq'] }]);
  });

  it('names what came too late, but not its repetition', () => {
    expect(audit([copy(2), copy(1), copy(3), copy(2)], ledger(1, 2, 3))).toMatchObject({
      verdict: 'different',
      misplaced: [{ event_id: 'E2', seq: 2 }],
    });
    expect(audit([copy(1), copy(2), copy(1), copy(3)], ledger(1, 2, 3))).toMatchObject({ verdict: 'same', misplaced: [] });
  });

  it('names what the ledger does not have', () => {
    const forged = [copy(7), { event_type: 'contract.request', data: {} }];
    expect(audit([copy(1), ...forged], ledger(1))).toMatchObject({
      verdict: 'different',
      unknown: [
        { event_id: 'E7', event_type: 'contract.request' },
        { event_id: null, event_type: 'contract.request' },
      ],
    });
  });

  it('does not ask Trace for what was erased here after it was sent', () => {
    const [first] = ledger(1);
    const erased = { ...first!, copy: copy(1, { payload: null, session_id: null, erased: true }) };
    expect(audit([copy(1, { session_id: 'first' })], [erased]).verdict).toBe('same');
    expect(audit([copy(1, { session_id: 'first', hash: 'x' })], [erased]).verdict).toBe('different');
  });

  it('counts everything, and lists the first hundred', () => {
    const { missing, found } = audit([], ledger(...Array.from({ length: 150 }, (_, i) => i + 1)));
    expect([missing.length, found.missing]).toEqual([100, 150]);
  });
});
