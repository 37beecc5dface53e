import fc from 'fast-check';
import { pointOf, SessionFold, type StreamEvent } from '../../src/audit/replay-session.js';
import { PaperLedger, SESSION } from './paper-ledger.js';

/** Asks (0), answers an open REQUEST (1), compresses (2). */
const deeds = fc.array(fc.nat({ max: 2 }), { maxLength: 40 });

function eventsOf(steps: readonly number[]): StreamEvent[] {
  const ledger = new PaperLedger();
  const open: ReturnType<PaperLedger['request']>[] = [];
  for (const step of steps) {
    if (step === 0) open.push(ledger.request(SESSION));
    if (step === 1 && open.length > 0) ledger.response(open.shift()!);
    if (step === 2) ledger.append(SESSION, 'session.compressed', { from_seq: 1, to_seq: Math.max(1, ledger.events.length) });
  }
  return ledger.events.map(({ row }) => ({
    ...row,
    seq: Number(row.seq),
    hash: row.hash.toString('hex'),
    record: JSON.parse(row.record.toString()),
  }));
}

describe('the state of a session', () => {
  it('after any of its events is what those events count to, and later ones change nothing of it', () => {
    fc.assert(
      fc.property(deeds, (steps) => {
        const events = eventsOf(steps);
        const fold = new SessionFold(SESSION);
        const states = events.map((event) => {
          fold.add(event);
          return fold.state();
        });
        states.forEach((state, i) => {
          const until = events.slice(0, i + 1);
          const asked = until.filter(({ type }) => type === 'contract.request').length;
          const answered = until.filter(({ type }) => type === 'contract.response').length;
          const blocks = until.filter(({ type }) => type === 'session.compressed');
          expect(state).toMatchObject({
            ...{ seq: i + 1, head: events[i]!.hash, state: 'open', opened_at: events[0]!.time, last_event_at: events[i]!.time },
            contracts: { requested: asked, completed: answered, pending: asked - answered, failed: 0, cancelled: 0 },
            ...{ memory_blocks: blocks.length, memory: blocks.length > 0 ? { memory_block_id: blocks.at(-1)!.event_id } : null },
          });
          expect(state.agents['echo_agent']?.requested ?? 0).toBe(asked);
        });
      }),
    );
  });
});

describe('a point in a session', () => {
  it.each(['2026-11-21T18:00:00Z', '2026-11-21T18:00:00.123+02:00'])('may be the time %s', (text) => {
    expect(pointOf(text)).toEqual({ milliseconds: Date.parse(text) });
  });

  it('may be a seq', () => {
    expect(pointOf('12')).toEqual({ seq: 12 });
  });

  it.each(['', '-1', 'now', '2026-11-21', '2026-11-21T18:00:00', '2026-13-21T18:00:00Z', '9'.repeat(16)])('is nothing else: %j', (text) => {
    expect(() => pointOf(text)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
