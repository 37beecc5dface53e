/** What is missing and why, in a ledger that has far more of it than verify may remember. */

import { type VerifyStand, verifyLedger } from '../../src/audit/verify.postgres.js';
import { explainSome } from '../../src/audit/verify-erasures.postgres.js';
import { PayloadCheck } from '../../src/audit/verify-payload.js';
import { Report } from '../../src/audit/verify-report.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { carryOut, markDone, noteErasures } from '../../src/ledger/erase.postgres.js';
import { recordHash, stamp } from '../../src/ledger/record.js';
import { describeEachDatabase } from '../support/databases.js';
import { Recorder, undone, verdictOf } from './recorded-sessions.js';

const STREAMS = ['one', 'two', 'three'].map((name) => `default/agent/${name}`);
const EACH = 1500;
/** More than this is never remembered, so it is not what the verdict rests on. */
const REMEMBERED = 4000;

describeEachDatabase('verify of a ledger in which most payload is erased', (open) => {
  let db: Database;
  let recorder: Recorder;

  beforeAll(async () => {
    ({ db } = await open());
    recorder = new Recorder(db);
    for (const stream of STREAMS) await recorder.health(stream, EACH);
    await recorder.sequenceAll();
    const order = newDraft('payload.erased', { streams: STREAMS }, { basis: 'asked for', requested_by: 'test' });
    await db.query('CREATE TABLE backup AS SELECT * FROM payload; CREATE TABLE backup_key AS SELECT * FROM payload_key');
    await noteErasures(db, [order.id], { tenant: 'default', session: null });
    await recorder.append('default/system', order);
    await carryOut(db, order.id);
    await markDone(db, order.id);
    await recorder.health('default/agent/four', 1);
    await recorder.sequenceAll();
  });

  it('names the erasure once for all it explains, and holds only a part of that at a time', async () => {
    const stands: VerifyStand[] = [];
    const came = async (stand: VerifyStand) => void stands.push(stand);
    let verdict: unknown;
    for await (const message of verifyLedger(db, {}, { came })) verdict = message;
    const erased = { events: 3 * EACH, by: [{ erasure: expect.any(String), basis: 'asked for', events: 3 * EACH }] };
    expect(verdict).toMatchObject({ verdict: 'valid', erased });
    expect(stands.at(-1)!.state.payload.missing.length).toBeLessThan(REMEMBERED);
    expect(await verdictOf(db, { range: { from: 0, to: 3 * EACH } })).toMatchObject({ verdict: 'valid', erased });
  });

  it('finds what a restore brought back, once it can be read', async () => {
    await undone(db, async (tx) => {
      await tx.query(
        `INSERT INTO payload SELECT b.* FROM backup b JOIN event e ON e.id = b.event WHERE e.stream = 'default/agent/two' AND e.seq = 7`,
      );
      expect(await verdictOf(tx)).toMatchObject({ verdict: 'valid', found: 0 }); // ciphertext, whose key is destroyed
      await tx.query(
        `UPDATE payload_key k SET wrapped = b.wrapped FROM backup_key b WHERE b.key_id = k.key_id AND k.stream = 'default/agent/two'`,
      );
      const first = { check: 'payload digests', stream: 'default/agent/two', seq: 7 };
      expect(await verdictOf(tx)).toMatchObject({ verdict: 'invalid', found: 1, first });
      await tx.query('UPDATE erasure SET done_at = NULL');
      expect(await verdictOf(tx)).toMatchObject({ verdict: 'valid', found: 0 }); // somebody is still at it
    });
  });

  it('asks the records, not the table that says where they are', async () => {
    await undone(db, async (tx) => {
      await tx.query('DELETE FROM erased');
      expect(await verdictOf(tx)).toMatchObject({ verdict: 'valid', erased: { events: 3 * EACH } });
    });
    await undone(db, async (tx) => {
      await tx.query(`INSERT INTO erased SELECT 'default/agent/four', 0, erasure FROM erased LIMIT 1`);
      await tx.query(`DELETE FROM payload p USING event e WHERE e.id = p.event AND e.stream = 'default/agent/four'`);
      expect(await verdictOf(tx)).toMatchObject({ verdict: 'incomplete', found: 1, first: { stream: 'default/agent/four' } });
    });
  });

  it('tells payload that nothing explains, and does not remember all of it', async () => {
    const report = new Report();
    const payload = new PayloadCheck(report);
    const MANY = 20_500;
    let most = 0;
    for (let i = 0; i < MANY; i++) {
      const at = { event_id: `lost ${i}`, stream: 'default/agent/five', seq: i + 1 };
      payload.event({ ...at, id: at.event_id, prev: null, type: 'agent.health', _sd: [`digest ${i}`] }, [], at);
      await explainSome(db, payload);
      if (i % 500 === 0) most = Math.max(most, payload.state().missing.length);
    }
    payload.end();
    expect(report.verdict('ledger')).toMatchObject({ verdict: 'incomplete', found: MANY, first: { event_id: 'lost 0' } });
    expect(most).toBeLessThan(MANY);
  });

  it('takes no erasure of another tenant, nor one outside the system stream, for an explanation', () => {
    for (const [stream, verdict] of [
      ['default/system', 'valid'],
      ['other/system', 'incomplete'],
      ['default/agent/six', 'incomplete'],
    ] as const) {
      const report = new Report();
      const payload = new PayloadCheck(report);
      const at = { event_id: 'lost', stream: 'default/session/S', seq: 1 };
      payload.event({ ...at, id: at.event_id, prev: null, type: 'agent.health', _sd: ['digest'] }, [], at);
      const { bytes: record } = stamp(newDraft('payload.erased', { events: ['lost'] }), { stream, seq: 1, prev: null });
      payload.erasure({ event_id: 'erasure', stream, record, hash: recordHash(record), idx: null, basis: null });
      payload.end();
      expect([stream, report.verdict('ledger').verdict]).toEqual([stream, verdict]);
    }
  });
});
