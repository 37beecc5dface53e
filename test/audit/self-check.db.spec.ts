import { SelfCheck } from '../../src/audit/self-check.worker.js';
import type { Verdict } from '../../src/audit/verify-verdict.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { expectSound } from '../support/sound.js';
import { until } from '../support/until.js';
import { Recorder } from './recorded-sessions.js';

const AT_ONCE = { intervalSeconds: 0.1, checkpointDir: undefined };

describeEachDatabase('the self-check', (open) => {
  let database: TestDatabase;
  let db: Database;
  const running: SelfCheck[] = [];

  beforeAll(async () => {
    database = await open();
    ({ db } = database);
    const recorder = new Recorder(db);
    await recorder.session('watched', 3);
    await recorder.sequenceAll();
  });
  afterEach(async () => {
    for (const check of running.splice(0)) await check.drain();
    await db.query(`UPDATE self_check SET due_at = '-infinity', started_at = NULL, finished_at = NULL, verdict = NULL, error = NULL`);
  });

  function start(of: Database, options: ConstructorParameters<typeof SelfCheck>[1] = AT_ONCE, told: Verdict[] = []): SelfCheck {
    const check = new SelfCheck(of, options, (verdict) => told.push(verdict));
    running.push(check);
    check.start();
    return check;
  }
  const lastOf = (check: SelfCheck) => check.status()['last'] as { verdict: { verdict: string } | null; error: string | null } | null;

  it('is sound while the ledger is, unsound while it is not, and sound again when it was put right', async () => {
    const told: Verdict[] = [];
    const check = start(db, AT_ONCE, told);
    await until('it has looked', () => lastOf(check)?.verdict?.verdict === 'valid');
    expect(check.sound).toBe(true);
    await db.query(`UPDATE payload SET bytes = bytes || ' '`);
    await until('it has found it', () => !check.sound);
    expect(lastOf(check)?.verdict).toMatchObject({ verdict: 'invalid', first: { check: 'payload digests' } });
    await db.query('UPDATE payload SET bytes = substring(bytes from 1 for octet_length(bytes) - 1)');
    await until('it is content', () => check.sound);
    expect(new Set(told.map(({ verdict }) => verdict))).toEqual(new Set(['valid', 'invalid']));
  });

  it('is made by one of several replicas, and all know the verdict', async () => {
    const told: Verdict[] = [];
    const checks = [1, 2, 3].map(() => start(db, { ...AT_ONCE, intervalSeconds: 3600, lookMs: 20 }, told));
    await until('one has looked', () => told.length > 0);
    await until('all know', () => checks.every((check) => lastOf(check)?.verdict?.verdict === 'valid'));
    expect(told).toHaveLength(1);
  });

  it('says why it did not come to an end, and keeps the verdict it had', async () => {
    const check = start(db, { ...AT_ONCE, checkpointDir: '/dev/null' });
    await until('it has failed', () => lastOf(check)?.error !== null && lastOf(check) !== null);
    expect([check.sound, lastOf(check)]).toMatchObject([true, { verdict: null, error: expect.stringContaining('ENOTDIR') }]);
  });

  it('is never made where no interval is set', async () => {
    const check = start(db, { intervalSeconds: null, checkpointDir: undefined });
    await check.drain();
    expect([check.sound, check.status()]).toMatchObject([true, { last: null }]);
  });

  it('leaves the ledger as it was', () => expectSound(db));
});
