import { completed, failed, type RequestMembers } from '../../src/contracts/contract.js';
import { ContractManager, type OpenContract } from '../../src/contracts/contracts.commands.js';
import { answerTo } from '../../src/contracts/contracts.postgres.js';
import { ListContracts, ListContractsHandler } from '../../src/contracts/contracts.queries.js';
import { IdleSessions } from '../../src/contracts/idle.worker.js';
import { IntoSession } from '../../src/contracts/into-session.postgres.js';
import { Recovery } from '../../src/contracts/recovery.worker.js';
import { SessionLimit } from '../../src/contracts/session-limit.postgres.js';
import { Sessions } from '../../src/contracts/sessions.postgres.js';
import { newId } from '../../src/kernel/ids.system.js';
import { Metrics } from '../../src/kernel/metrics.system.js';
import { Appender } from '../../src/ledger/append.worker.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { Instance } from '../../src/ledger/instance.worker.js';
import { countOpen } from '../../src/ledger/open-request.postgres.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectSound } from '../support/sound.js';
import { until } from '../support/until.js';

/** One process's share of the house. */
function replica(db: Database) {
  const instance = new Instance(db, newId());
  const sessions = new Sessions(db);
  const appender = new Appender(db);
  const contracts = new ContractManager(
    appender,
    new IntoSession(appender, sessions, new SessionLimit(db, null), instance),
    db,
    new Metrics(),
  );
  return { instance, sessions, contracts, recovery: new Recovery(db, contracts, instance.owner) };
}

const members = (): RequestMembers => ({
  task: newId(),
  to: null,
  capability: 'echo',
  deadline: new Date().toISOString(),
  cause: null,
  trace: null,
});

async function ask(contracts: ContractManager, session: string, seconds = 30): Promise<OpenContract> {
  const result = await contracts.open({ tenant: 'default', session, request: members(), payload: { parameters: {} }, seconds });
  if ('used' in result) throw new Error('no key was given');
  return result.opened;
}

describeEachDatabase('the life of a contract', (open) => {
  let db: Database;
  let here: ReturnType<typeof replica>;

  beforeEach(async () => {
    db = (await open()).db;
    here = replica(db);
    await here.instance.start();
  });
  afterEach(() => here.instance.drain());

  it('closes what a dead process left open as interrupted, once', async () => {
    const gone = replica(db);
    await gone.instance.start();
    const left = [await ask(gone.contracts, 's1'), await ask(gone.contracts, 's1'), await ask(gone.contracts, 's2')];
    await gone.instance.drain(); // its row goes with it, as after 30 s without a sign
    await Promise.all([here.recovery.look(), replica(db).recovery.look()]);
    for (const { asked } of left) expect(await answerTo(db, asked.id)).toMatchObject({ status: 'failed', code: 'interrupted' });
    expect(await countOpen(db)).toBe(0);
    await expectSound(db);
  });

  it('leaves alone what a living process has open, and closes it five seconds after its deadline', async () => {
    if (!db.embedded) {
      const other = replica(db);
      await other.instance.start();
      const running = await ask(other.contracts, 's');
      await here.recovery.look();
      expect(await countOpen(db)).toBe(1);
      await other.contracts.close(running, completed('fine'), 0);
      await other.instance.drain();
    }
    const late = await ask(here.contracts, 's', -4); // four seconds past: still its owner's
    const overdue = await ask(here.contracts, 's', -6);
    await here.recovery.look();
    expect(await answerTo(db, late.asked.id)).toBeUndefined();
    expect(await answerTo(db, overdue.asked.id)).toMatchObject({ code: 'interrupted', message: expect.stringContaining('deadline') });
    await here.contracts.close(late, completed('just so'), 0);
    await expectSound(db);
  });

  it('takes an owner unseen for 30 s for dead', async () => {
    const silent = replica(db);
    await silent.instance.start();
    const left = await ask(silent.contracts, 's');
    // The clock that is simulated here is the database's: it last heard of the owner 31 s ago.
    await db.query(`UPDATE instance SET seen_at = clock_timestamp() - interval '31 seconds' WHERE owner = $1`, [silent.instance.owner]);
    await here.recovery.look();
    expect(await answerTo(db, left.asked.id)).toMatchObject({ code: 'interrupted' });
    await silent.instance.drain();
    await expectSound(db);
  });

  it('gives an owner whose RESPONSE comes second the recorded one', async () => {
    const running = await ask(here.contracts, 's', -6);
    await here.recovery.look();
    const told = await here.contracts.close(running, completed('too late'), 0);
    expect(told).toMatchObject({ status: 'failed', code: 'interrupted' });
    expect(told.result).toBeUndefined();
    await expectSound(db);
  });

  it('refuses work after a requested close, and closes over running calls only when told to cancel', async () => {
    const running = await ask(here.contracts, 's');
    await expect(here.contracts.seal(running.stream, 'requested', false)).rejects.toMatchObject({ code: 'session_busy' });
    await here.contracts.seal(running.stream, 'requested', true);
    expect(await answerTo(db, running.asked.id)).toMatchObject({ status: 'cancelled', code: 'cancelled' });
    expect(await here.contracts.close(running, completed('too late'), 0)).toMatchObject({ status: 'cancelled' });
    await expect(ask(here.contracts, 's')).rejects.toMatchObject({ code: 'session_closed' });
    await expect(ask(replica(db).contracts, 's')).rejects.toMatchObject({ code: 'session_closed' });
    await expectSound(db);
  });

  it('goes on in a new stream under the same name after idleness, its first cause the old seal', async () => {
    const first = await ask(here.contracts, 's');
    await here.contracts.close(first, completed(1), 0);
    const idle = new IdleSessions(db, here.contracts, 0.001);
    await new Promise((done) => setTimeout(done, 10));
    await idle.look();
    expect(idle.status()).toMatchObject({ sealed: 1, last_error: null });
    const [again, elsewhere] = [await ask(here.contracts, 's'), await ask(replica(db).contracts, 's')];
    expect(again.stream).not.toBe(first.stream);
    expect(elsewhere.stream).toBe(again.stream);
    const [seal] = await db.query<{ event_id: string }>(`SELECT event_id FROM event WHERE stream = $1 AND type = 'session.closed'`, [
      first.stream,
    ]);
    const [opening] = await db.query<{ cause: string }>('SELECT cause FROM event WHERE stream = $1 AND seq = 1', [again.stream]);
    expect(opening!.cause).toBe(seal!.event_id);
    for (const each of [again, elsewhere]) await here.contracts.close(each, failed('agent_failed', 'no'), 0);
    const page = await new ListContractsHandler(db, here.sessions).execute(new ListContracts('default', 's', {}, { limit: 3 }));
    expect(page).toMatchObject({ total: 6, next_cursor: '1.1' });
    const rest = await new ListContractsHandler(db, here.sessions).execute(
      new ListContracts('default', 's', {}, { limit: 9, cursor: page.next_cursor! }),
    );
    expect([...page.contracts, ...rest.contracts].map((c) => c.status)).toEqual([
      'completed',
      'completed',
      'failed',
      'failed',
      'failed',
      'failed',
    ]);
    await expectSound(db);
  });

  it('says that it may not dispatch when it could not renew its row', async () => {
    expect(here.instance.fit).toBe(true);
    expect(new Instance(db, newId()).fit).toBe(false); // not started
    const cut = new Instance(db, newId(), { renewMs: 60_000, unfitMs: 20 });
    await cut.start();
    await new Promise((done) => setTimeout(done, 40));
    expect(cut.fit).toBe(false);
    const kept = new Instance(db, newId(), { renewMs: 10, unfitMs: 1000 });
    await kept.start();
    await new Promise((done) => setTimeout(done, 1500));
    await until('it has renewed it', () => kept.fit); // without that it would never be again
    await cut.drain();
    await kept.drain();
  });
});
