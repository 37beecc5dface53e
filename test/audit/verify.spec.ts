import { CHECKS } from '../../src/audit/verify-verdict.js';
import { canonicalJson } from '../../src/kernel/canonical.js';
import { type PaperEvent, PaperLedger, SESSION, SYSTEM, soundLedger } from './paper-ledger.js';

const FROM_OUTSIDE: string[] = ['checkpoints', 'known checkpoints'];

const missingPayload = (event: PaperEvent) => {
  event.payload = [];
  return event;
};

describe('verify', () => {
  it('finds a sound ledger valid, having looked at everything', () => {
    const { ledger, third } = soundLedger();
    const verdict = ledger.verdict();
    expect(verdict).toMatchObject({ verdict: 'valid', first: null, findings: [], found: 0, events: 9, streams: 3 });
    expect(verdict.open).toEqual({ count: 1, first: [{ event_id: third.row.event_id, stream: SESSION, seq: 5 }] });
    const passed = verdict.checks.filter(({ result }) => result === 'pass');
    expect(passed.map(({ name }) => name)).toEqual(CHECKS.filter((name) => !FROM_OUTSIDE.includes(name)));
    for (const { name, count } of passed) expect([name, count > 0]).toEqual([name, true]);
    expect([...new Set(verdict.checks.map(({ step }) => step))]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('says why what nobody signed or kept is not checked', () => {
    const unchecked = new PaperLedger().verdict().checks.filter((check) => check.result === 'not checked');
    expect(unchecked.map((check) => check.name)).toEqual(FROM_OUTSIDE);
    for (const { note } of unchecked) expect(note).toMatch(/\w/);
  });

  it('finds an empty ledger valid', () => {
    expect(new PaperLedger().verdict()).toMatchObject({ verdict: 'valid', events: 0, streams: 0 });
  });

  const COLUMNS = [
    'event_id',
    'stream',
    'seq',
    'type',
    'time',
    'task',
    'cause',
    'in_reply_to',
    'from_agent',
    'to_agent',
    'capability',
    'status',
    'error_code',
  ] as const;
  it.each(COLUMNS)('names an event whose column %s differs from its record, or is null where the record is not', (column) => {
    for (const wrong of [column === 'seq' ? '6' : 'wrong', null]) {
      const { ledger, third } = soundLedger();
      if (third.row[column] === wrong || (wrong === null && column === 'seq')) continue;
      Object.assign(third.row, { [column]: wrong });
      const { findings } = ledger.verdict();
      const named = {
        check: 'columns',
        severity: 'invalid',
        event_id: third.row.event_id,
        what: expect.stringMatching(`^column ${column} is (nothing|"?${wrong}"?), the record says`),
      };
      expect(findings).toContainEqual(expect.objectContaining(named));
    }
  });

  it('tells one damaged record once, not again by its neighbours', () => {
    const { ledger, second } = soundLedger();
    second.row.record = Buffer.from(second.row.record.toString('utf8').replace('echo_agent', 'ecco_agent'));
    const { findings } = ledger.verdict();
    expect(new Set(findings.map((f) => f.event_id))).toEqual(new Set([second.row.event_id]));
    expect(new Set(findings.map((f) => f.check))).toEqual(new Set(['record hash', 'columns']));
  });

  it('accepts an event that waits for its leaf no longer than the merge delay', () => {
    const { ledger, started } = soundLedger();
    started.standing = { leaves: [], pending: Date.parse(started.row.time) * 1000 + 9_000_000 };
    ledger.sequencer = { size: '8', at: 9e15 };
    expect(ledger.verdict()).toMatchObject({ verdict: 'valid' });
  });

  it('takes a later payload.erased that names the event for an explanation, an earlier one not', () => {
    const { ledger, second, third } = soundLedger();
    const erased = ledger.append(SYSTEM, 'payload.erased');
    ledger.rewrite(erased, { events: [third.row.event_id] });
    missingPayload(third);
    const explained = ledger.verdict();
    expect(explained.verdict).toBe('valid');
    expect(explained.checks.find((c) => c.name === 'payload digests')?.note).toBe('1 events erased and explained');

    ledger.rewrite(erased, { events: [second.row.event_id] });
    expect(ledger.verdict()).toMatchObject({ verdict: 'incomplete', first: { event_id: third.row.event_id } });

    const late = ledger.request(SESSION);
    ledger.rewrite(erased, { events: [third.row.event_id, late.row.event_id] });
    missingPayload(late);
    expect(ledger.verdict()).toMatchObject({ verdict: 'incomplete', found: 1, first: { event_id: late.row.event_id } });
  });

  it('names an invalid event before an incomplete one that comes earlier', () => {
    const { ledger, first, third } = soundLedger();
    missingPayload(first);
    third.row.capability = 'other';
    expect(ledger.verdict()).toMatchObject({ verdict: 'invalid', found: 2, first: { event_id: third.row.event_id } });
  });

  it('keeps what it does not know: members, types and versions are not checked, never a failure', () => {
    const { ledger, third } = soundLedger();
    ledger.rewrite(third, { colour: { of: ['the', 'future'] } });
    const unknown = ledger.append(SYSTEM, 'agent.dreamt' as 'agent.stopped');
    const future = ledger.append(SYSTEM, 'log.started');
    ledger.rewrite(future, { v: 2, time: null });
    const verdict = ledger.verdict();
    expect(verdict).toMatchObject({ verdict: 'valid', events: 11 });
    const unchecked = { result: 'not checked', count: 1, note: 'unknown to this version' };
    expect(verdict.checks).toContainEqual({ name: 'lifecycle of type agent.dreamt', ...unchecked });
    expect(verdict.checks).toContainEqual({ name: 'records of version 2', ...unchecked });

    unknown.standing.leaves[0]!.hash = Buffer.alloc(32);
    future.row.hash = Buffer.alloc(32);
    expect(ledger.verdict().findings.map((f) => f.check)).toEqual(['leaves', 'leaves', 'record hash']);
  });

  it('leaves what was appended after it looked at the heads to the next audit', () => {
    const { ledger } = soundLedger();
    ledger.lookAtHeads();
    ledger.request(SESSION);
    ledger.append('default/agent/new_agent', 'agent.registered');
    expect(ledger.verdict()).toMatchObject({ verdict: 'valid', events: 9 });
  });

  it('keeps a hundred findings and the first of every check, and counts them all', () => {
    const ledger = new PaperLedger();
    for (let i = 0; i < 150; i++) ledger.request(SESSION).row.task = 'wrong';
    ledger.sequencer = null;
    const verdict = ledger.verdict();
    expect(verdict.found).toBe(151);
    expect(verdict.findings).toHaveLength(101);
    expect(verdict.findings.at(-1)).toMatchObject({ check: 'sequence' });
    expect(verdict.open).toMatchObject({ count: 150, first: { length: 10 } });
  });

  it('tells nothing of a payload or of a session name', () => {
    const { ledger, first, second, third } = soundLedger();
    first.payload[0] = { ...first.payload[0]!, bytes: Buffer.from(canonicalJson(['A'.repeat(22), 'session', 'secret'])) };
    second.payload[0]!.bytes = Buffer.from('["secret', 'utf8');
    third.payload[0]!.bytes = Buffer.from(canonicalJson(['secret', 'secret', 'secret']));
    ledger.sessions[0]!.name = 'my secret';
    const verdict = ledger.verdict();
    expect(verdict.found).toBeGreaterThan(5);
    expect(JSON.stringify(verdict)).not.toContain('secret');
  });
});
