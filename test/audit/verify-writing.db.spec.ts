import type { Verdict } from '../../src/audit/verify-verdict.js';
import type { Database, Tx } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import type { Members } from '../../src/ledger/record.js';
import { describeEachDatabase } from '../support/databases.js';
import { unlock } from './flipped-bits.js';
import { Recorder, undone, verdictOf } from './recorded-sessions.js';

// Thousands of events are written first; a busy machine takes its time.
jest.setTimeout(120_000);

describeEachDatabase('verify, beside a writer,', (open) => {
  let db: Database;
  let recorder: Recorder;

  beforeAll(async () => {
    ({ db } = await open());
    recorder = new Recorder(db);
  });

  it('calls an event incomplete that waits too long for its leaf, until it has one', async () => {
    const draft = { ...newDraft('agent.registered', { version: '1.0.0' }), time: '2026-01-01T00:00:00.000Z' };
    await recorder.append('default/agent/late_agent', draft);
    const first = { event_id: draft.id, check: 'leaves', severity: 'incomplete' };
    expect(await verdictOf(db)).toMatchObject({ verdict: 'incomplete', found: 1, first });
    await recorder.sequenceAll();
    expect(await verdictOf(db)).toMatchObject({ verdict: 'valid' });
  });

  it('takes the erasure of a payload for what it is, in the ledger and in the session', async () => {
    const stream = await recorder.session('to be erased', 2);
    await recorder.sequenceAll();
    await db.query('DELETE FROM payload USING event e WHERE e.id = payload.event AND e.stream = $1', [stream]);
    const scope = { session: { tenant: 'default', name: 'to be erased' } };
    expect(await verdictOf(db)).toMatchObject({ verdict: 'incomplete', found: 4, first: { stream, seq: 1 } });
    expect(await verdictOf(db, scope)).toMatchObject({ verdict: 'incomplete', found: 4, first: { stream, seq: 1 } });

    const erased = await db.query<{ event_id: string }>('SELECT event_id FROM event WHERE stream = $1', [stream]);
    const members = { events: erased.map((e) => e.event_id) } as Members;
    await recorder.append('default/system', newDraft('payload.erased', members, { basis: 'asked' }));
    expect(await verdictOf(db)).toMatchObject({ verdict: 'valid' });
    expect(await verdictOf(db, scope)).toMatchObject({ verdict: 'valid' });
  });

  it('reads more streams, events, payloads, leaves and sessions than fit on a page', async () => {
    const before = (await verdictOf(db)).events;
    await Promise.all(Array.from({ length: 1100 }, (_, i) => recorder.emptySession(`paged ${i}`)));
    for (let round = 0; round < 8; round++) await recorder.health('default/agent/hot_agent', 150);
    await recorder.sequenceAll();
    expect(await verdictOf(db)).toMatchObject({ verdict: 'valid', events: before + 2300 });

    const damages = [
      "UPDATE event SET type = 'x' WHERE id = $1",
      'UPDATE payload SET event = 1000000 WHERE event = $1',
      "UPDATE leaf SET sequenced_at = sequenced_at - interval '1 day' WHERE event = $1",
    ];
    const [last] = await db.query<{ id: number; event_id: string }>(
      'SELECT id, event_id FROM event WHERE id = (SELECT max(id) FROM event)',
    );
    for (const damage of damages) {
      await undone(db, async (tx) => {
        await unlock(tx);
        await tx.query(damage, [last!.id]);
        expect(await verdictOf(tx)).toMatchObject({ verdict: 'invalid', events: before + 2300, first: { event_id: last!.event_id } });
      });
    }
  });

  it('holds a few megabytes of payload at a time, however large the ledger', async () => {
    const text = 'x'.repeat(1_500_000);
    for (let i = 0; i < 5; i++) await recorder.append('default/agent/large_agent', newDraft('agent.registered', {}, { description: text }));
    await recorder.sequenceAll();
    const held: number[] = [];
    const watched: Tx = {
      keys: db.keys,
      query: (sql, values) => db.query(sql, values),
      named: async <T>(name: string, sql: string, values: unknown[]) => {
        const rows = await db.named<T>(name, sql, values);
        if (name === 'payloads_of') held.push((rows as { bytes: Buffer }[]).reduce((sum, { bytes }) => sum + bytes.length, 0));
        return rows;
      },
    };
    expect(await verdictOf(watched)).toMatchObject({ verdict: 'valid' });
    expect(held.reduce((sum, bytes) => sum + bytes, 0)).toBeGreaterThan(5 * text.length);
    expect(Math.max(...held)).toBeLessThan(4 * 1024 * 1024);
  });

  it('raises no false alarm while sessions are opened, answered and sequenced', async () => {
    let writing = true;
    const write = async (name: string) => {
      for (let i = 0; writing; i++) await recorder.session(`${name} ${i}`, 5);
    };
    const order = async () => {
      while (writing) await recorder.sequenceAll();
    };
    const busy = [...Array.from({ length: 8 }, (_, i) => write(`busy ${i}`)), order()];
    const verdicts: Verdict[] = [];
    for (let i = 0; i < 5; i++) verdicts.push(await verdictOf(db));
    writing = false;
    await Promise.all(busy);
    for (const { verdict, findings } of verdicts) expect({ verdict, findings }).toEqual({ verdict: 'valid', findings: [] });
    expect(verdicts.at(-1)!.events).toBeGreaterThan(verdicts[0]!.events);
  });
});
