import fc from 'fast-check';
import { HistoryCheck, type HistoryReport, MISSING } from '../../src/audit/replay-history.js';
import { SessionFold } from '../../src/audit/replay-session.js';
import { OTHER, PaperLedger, SESSION } from './paper-ledger.js';

/** A history of two streams: answered, open and closed. */
function history(): string[] {
  const ledger = new PaperLedger();
  const first = ledger.request(SESSION, { session: 'my chat', parameters: { message: 'secret' } });
  ledger.response(first);
  ledger.request(SESSION);
  ledger.response(ledger.request(OTHER));
  ledger.append(OTHER, 'session.closed', { reason: 'idle' });
  const folds = new Map<string, SessionFold>();
  const lines = ledger.events.map(({ row, payload }) => {
    const fold = folds.get(row.stream) ?? new SessionFold(row.stream);
    folds.set(row.stream, fold);
    fold.add({ ...row, seq: Number(row.seq), hash: row.hash.toString('hex'), record: JSON.parse(row.record.toString()) });
    return { record: row.record.toString(), hash: row.hash.toString('hex'), disclosures: payload.map(({ bytes }) => bytes.toString()) };
  });
  return [...lines, { states: [...folds.values()].map((fold) => fold.state()) }].map((line) => JSON.stringify(line));
}

function check(lines: readonly string[]): HistoryReport {
  const checking = new HistoryCheck();
  lines.forEach((text, i) => {
    checking.line(i + 1, text);
  });
  return checking.report();
}

const LINES = history();

/** One line changed. */
const changed = (i: number, change: (line: Record<string, unknown>) => Record<string, unknown>) =>
  LINES.map((text, at) => (at === i ? JSON.stringify(change(JSON.parse(text))) : text));
const why = (lines: readonly string[]) => check(lines).findings.map((finding) => finding.why);

describe('a history', () => {
  it('is the same where this version writes and understands it as it stands', () => {
    expect(check(LINES)).toEqual({
      ...{ events: 6, streams: 2, disclosures: 6, gone: 0, unexplained: 0, unchecked: 0 },
      ...{ compared: true, findings: [] },
    });
  });

  it('is not the same after any change of a character', () => {
    const bytes = LINES.map((line) => Buffer.from(line));
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 0x7f }), (line, at, flip) => {
        const damaged = bytes.map((each) => Buffer.from(each));
        const hit = damaged[line % damaged.length]!;
        hit[at % hit.length]! ^= flip;
        const after = damaged.map(String);
        // JSON has other ways of writing the same: blanks, escapes.
        fc.pre(after.some((text, i) => text !== LINES[i] && canonical(text) !== canonical(LINES[i]!)));
        const report = check(after);
        expect(report.findings.length > 0 || !report.compared).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('is not the same with a line missing, twice, or elsewhere in its stream', () => {
    for (let i = 0; i < LINES.length - 1; i++) {
      const without = LINES.filter((_, at) => at !== i);
      expect([i, check(without).findings.length > 0]).toEqual([i, true]);
      expect([i, check([...LINES.slice(0, i + 1), ...LINES.slice(i)]).findings.length > 0]).toEqual([i, true]);
    }
    expect(why([LINES[1]!, LINES[0]!, ...LINES.slice(2)])[0]).toBe(`seq 2 of ${SESSION} follows seq 0`);
  });

  it('tells one finding for a broken stream, and how much of it was not looked at', () => {
    const report = check(changed(0, (line) => ({ ...line, hash: '00' })));
    expect(report).toMatchObject({ unchecked: 2, compared: false, findings: [{ line: 1, what: 'invalid' }] });
  });

  it('is changed where it means something else now', () => {
    const { states } = JSON.parse(LINES.at(-1)!) as { states: { tasks: number; contracts: object }[] };
    const meant = [{ ...states[0]!, contracts: { ...states[0]!.contracts, completed: 2 } }, states[1]!];
    expect(check([...LINES.slice(0, -1), JSON.stringify({ states: meant })])).toMatchObject({
      compared: true,
      findings: [{ line: 7, what: 'changed', why: expect.stringMatching(/: contracts was .*"completed":2.*, is .*"completed":1/) }],
    });
    expect(why([...LINES.slice(0, -1), JSON.stringify({ states: [states[0]] })])).toEqual([`${OTHER} was not there`]);
  });

  it('that does not say what it meant is compared as far as its bytes go', () => {
    expect(check(LINES.slice(0, -1))).toMatchObject({ events: 6, compared: false, findings: [] });
  });

  it('without a disclosure is the same only where it says why', () => {
    const without = (gone?: string) =>
      changed(0, (line) => ({ ...line, disclosures: (line['disclosures'] as string[]).slice(1), ...(gone && { gone }) }));
    expect(why(without())).toEqual(['1 digests of the record have no disclosure, and nothing says why']);
    expect(check(without('erased at noon'))).toMatchObject({ gone: 1, unexplained: 0, compared: true, findings: [] });
    expect(check(without(MISSING))).toMatchObject({ gone: 1, unexplained: 1, findings: [] });
  });

  it.each(['', 'null', '[]', '{"record":1}', 'x'])('has no line like %j', (line) => {
    expect(why([line])).toEqual(['it is no line of a history']);
  });
});

function canonical(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
