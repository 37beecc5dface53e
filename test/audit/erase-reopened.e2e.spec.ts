import { Appender } from '../../src/ledger/append.worker.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { erase, tracesOf, verdictOf, WHY } from '../support/erasing.js';
import { contractIntent, idleSession, newStream } from '../support/intents.js';
import { running, settled } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { aUlid } from '../support/recorded.js';

/** More than the keys and names of which fit into one record. */
const MANY = 900;

describeEachPlace('erasing a session that idleness had closed', (make) => {
  const ao = running(make);

  it('takes along what came under its name between the look at it and the order', async () => {
    const [name, secret] = ['gone-on', 'secret-of-a-person'];
    const { stream } = await idleSession(new Appender(ao.db), name);
    const next = newStream();
    const request = contractIntent(next, secret);
    await new Appender(ao.db).append(request);
    await ao.db.query(
      `CREATE FUNCTION go_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         UPDATE session SET stream = '${next}', earlier = earlier || stream WHERE stream = '${stream}'; RETURN NULL; END $$;
       CREATE TRIGGER go_on AFTER INSERT ON erasure FOR EACH STATEMENT EXECUTE FUNCTION go_on()`,
    );
    try {
      expect(await erase(ao, name)).toMatchObject({ whole: true, erasures: [aUlid, aUlid], keys_destroyed: [aUlid, aUlid], events: 6 });
    } finally {
      await ao.db.query('DROP TRIGGER go_on ON erasure; DROP FUNCTION go_on()');
    }
    expect([await tracesOf(ao.db, secret), await tracesOf(ao.db, name)]).toEqual([[], []]);
    await settled(ao.db);
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });
  });

  it('and going on again and again, more streams than fit into one record, takes all of them, their keys and its name', async () => {
    const [name, secret] = ['long-lived', 'old-secret-of-a-person'];
    const appender = new Appender(ao.db);
    await idleSession(appender, name);
    const streams = Array.from({ length: MANY }, newStream);
    const seal = () => newDraft('session.closed', { reason: 'idle' });
    await Promise.all(
      streams.map((stream) => appender.append({ stream, drafts: [...contractIntent(stream, secret).drafts, seal()] }, 60_000)),
    );
    await ao.db.query('UPDATE session SET stream = $2, earlier = $3::text[] || stream WHERE name = $1', [
      name,
      streams.at(-1),
      streams.slice(0, -1),
    ]);

    const why = { reason: 'case 12/26', requested_by: 'legal' };
    const { hold_id } = (await ao.post('/v1/holds', { session_id: name, ...why })).body;
    expect(await ao.post(`/v1/sessions/${name}/erase`, WHY)).toMatchObject({ status: 409, body: { code: 'legal_hold' } });
    expect((await ao.post(`/v1/holds/${hold_id}/release`, why)).status).toBe(200);

    const erased = await erase(ao, name);
    expect(erased).toMatchObject({ whole: true, erasures: [aUlid, aUlid, aUlid], events: 3 * (MANY + 1) });
    expect(new Set(erased.keys_destroyed).size).toBe(MANY + 1);
    expect(await ao.db.query('SELECT 1 FROM payload_key WHERE stream = ANY($1::text[]) AND wrapped IS NOT NULL', [streams])).toEqual([]);
    expect([await tracesOf(ao.db, secret), await tracesOf(ao.db, name)]).toEqual([[], []]);
    await settled(ao.db);
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });
  });
});
