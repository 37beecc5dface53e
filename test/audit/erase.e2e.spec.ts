import { CommandBus } from '@nestjs/cqrs';
import { Retention } from '../../src/audit/retention.worker.js';
import { newId } from '../../src/kernel/ids.system.js';
import { Appender } from '../../src/ledger/append.worker.js';
import { newDisclosure } from '../../src/ledger/draft.system.js';
import { erase, tracesOf, verdictOf, WHY } from '../support/erasing.js';
import { contractIntent, newStream } from '../support/intents.js';
import { running, settled, until } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { aUlid } from '../support/recorded.js';

let serial = 0;
const unique = (what: string) => `${what}-${++serial}-of-a-person`;

describeEachPlace('erasing', (make) => {
  const ao = running(make, async () => ({ RETENTION_DAYS: '30' }));
  const echo = async (session: string, text: string, headers = {}) =>
    (await ao.orchestrate({ session_id: session, capability: 'echo', parameters: { text } }, headers)).contract_id;
  const item = async (id: string) => (await ao.get(`/v1/contracts/${id}`)).body as { request: Item; response: Item };
  const compress = async (session: string) => (await ao.post('/v1/compress', { session_id: session })).body.memory_block;

  interface Item {
    session_id: string | null;
    parameters: { text: string } | null;
    result: unknown;
    metadata: Record<string, unknown>;
    erased: Record<string, unknown> | null;
  }

  it('a session leaves no trace of its name or payload, and a record that verifies and says why', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    const id = await echo(name, secret);
    await echo(name, secret);
    const block = await compress(name);
    expect((await tracesOf(ao.db, secret)).length).toBeGreaterThan(0);

    const erased = await erase(ao, name);
    expect(erased).toEqual({
      session_id: name,
      whole: true,
      erasures: [aUlid],
      events: 6,
      memory_blocks: [],
      keys_destroyed: [aUlid],
      left_of_tasks: [],
      told: [],
      out_of_reach: expect.arrayContaining([expect.stringContaining('backups')]),
    });
    expect([await tracesOf(ao.db, secret), await tracesOf(ao.db, name)]).toEqual([[], []]);

    const { request, response } = await item(id);
    const why = { erasure_id: erased.erasures[0], ...WHY, at: expect.any(String) };
    expect(request).toMatchObject({ session_id: null, parameters: null, result: null, metadata: {}, erased: why });
    expect(response).toMatchObject({ session_id: null, result: null, erased: why });
    for (const path of ['', '/memory']) expect((await ao.get(`/v1/sessions/${name}${path}`)).status).toBe(404);
    expect((await ao.post(`/v1/sessions/${name}/erase`, WHY)).status).toBe(404);

    await settled(ao.db);
    const { verdict, erased: shown } = await verdictOf(ao.db);
    expect([verdict, shown.by.at(-1)]).toEqual(['valid', { erasure: erased.erasures[0], basis: WHY.basis, events: 5 }]);
    expect(block.receipt.stream).not.toBe(
      (await ao.orchestrate({ session_id: name, capability: 'echo', parameters: { text: 'new' } })).receipt.stream,
    );
  });

  it('some contracts takes them and the memory that may quote them, and leaves the rest', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    await echo(name, 'before');
    const kept = await compress(name);
    const id = await echo(name, secret);
    const quoting = await compress(name);
    await echo(name, 'after');
    const following = await compress(name);

    const erased = await erase(ao, name, { contracts: [(await item(id)).response ? id : ''] });
    expect(erased).toMatchObject({ whole: false, events: 4, keys_destroyed: [] });
    expect(erased.memory_blocks).toEqual([quoting.memory_block_id, following.memory_block_id]);
    expect(await tracesOf(ao.db, secret)).toEqual([]);
    expect((await item(id)).request).toMatchObject({ session_id: name, parameters: null, erased: { basis: WHY.basis } });
    const { contracts } = (await ao.get(`/v1/contracts?session_id=${name}&type=REQUEST`)).body as { contracts: Item[] };
    expect(contracts.map((one) => one.parameters?.text)).toEqual(['before', undefined, 'after']);

    const { memory_block: newest } = (await ao.get(`/v1/sessions/${name}/memory`)).body;
    expect(newest.memory_block_id).toBe(kept.memory_block_id);
    const again = await compress(name);
    expect(again).toMatchObject({ previous_block: kept.memory_block_id, from_seq: kept.to_seq + 1 });
    expect(again.not_covered.concat(again.citations.map((c: { contract_id: string }) => c.contract_id))).toContain(id);
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });
  });

  it('the first contract of a session leaves the session its name', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    const id = await echo(name, secret);
    await erase(ao, name, { contracts: [id] });
    expect(await tracesOf(ao.db, secret)).toEqual([]);
    expect((await item(id)).request.session_id).toBe(name);
    expect((await ao.get(`/v1/sessions/${name}`)).body).toMatchObject({ session_id: name, state: 'open' });
  });

  it('some fields leaves the others, and another deletion is not excused by it', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    const id = await echo(name, secret);
    await erase(ao, name, { fields: ['parameters'], contracts: [id] });
    expect((await item(id)).request).toMatchObject({ parameters: null, result: { message: expect.stringContaining(secret) } });
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });

    await ao.db.query('BEGIN');
    await ao.db.query(
      `CREATE TABLE saved AS SELECT p.* FROM payload p JOIN event e ON e.id = p.event WHERE e.event_id = '${id}' AND name = 'routing'`,
    );
    await ao.db.query('COMMIT');
    await ao.db.query('DELETE FROM payload p USING saved s WHERE p.event = s.event AND p.name = s.name');
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'incomplete', found: 1, first: { event_id: id } });
    await ao.db.query('INSERT INTO payload SELECT * FROM saved');
    await ao.db.query('DROP TABLE saved');

    await erase(ao, name, { fields: ['result', 'text'] });
    expect(await tracesOf(ao.db, secret)).toEqual([]);
  });

  it('one attempt of a task names the others, which hold the same parameters', async () => {
    const name = unique('name');
    await echo(name, 'begin');
    const { stream } = (await ao.get(`/v1/sessions/${name}`)).body;
    const task = newId();
    const [first, second] = [contractIntent(stream), contractIntent(stream)].map(({ drafts }) =>
      drafts.map((draft) => ({ ...draft, members: { ...draft.members, task } })),
    );
    await new Appender(ao.db).append({ stream, drafts: [...first!, ...second!] });
    const [id, other] = [first![0]!.id, second![0]!.id];
    expect(await erase(ao, name, { contracts: [id] })).toMatchObject({ left_of_tasks: [other] });
    expect(await erase(ao, name, { contracts: [id, other] })).toMatchObject({ left_of_tasks: [] });
  });

  it('what is erased already changes nothing and records nothing', async () => {
    const name = unique('name');
    const id = await echo(name, 'once');
    expect((await erase(ao, name, { contracts: [id] })).erasures).toHaveLength(1);
    expect(await erase(ao, name, { contracts: [id] })).toMatchObject({ erasures: [], events: 0 });
    expect(await erase(ao, name, { fields: ['principal'] })).toMatchObject({ erasures: [], events: 0 });
  });

  it('is refused while a contract still runs, which may be cancelled', async () => {
    const name = unique('name');
    const asking = ao.post('/v1/orchestrate', { session_id: name, capability: 'obeys' }).then((r) => r.body);
    let id = '';
    await until('it runs', async () => {
      id = (await ao.get(`/v1/contracts?session_id=${name}`)).body.contracts[0]?.contract_id ?? '';
      return id !== '';
    });
    for (const body of [{}, { contracts: [id] }, { fields: ['parameters'] }]) {
      const { status, body: problem } = await ao.post(`/v1/sessions/${name}/erase`, { ...WHY, ...body });
      expect([status, problem.code]).toEqual([409, 'session_busy']);
    }
    expect(await erase(ao, name, {}, '?cancel=true')).toMatchObject({ whole: true });
    expect((await asking).error_code).toBe('cancelled');
  });

  it('takes no contract of another session for one of this', async () => {
    const [name, other] = [unique('name'), unique('other')];
    await echo(name, 'mine');
    const id = await echo(other, 'yours');
    const { status, body } = await ao.post(`/v1/sessions/${name}/erase`, { ...WHY, contracts: [id] });
    expect([status, body.code, body.detail]).toEqual([404, 'not_found', expect.stringContaining(id)]);
    expect((await item(id)).request.erased).toBeNull();
  });

  it('turns an Idempotency-Key into 410, not into a second call', async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    const body = { session_id: name, capability: 'echo', parameters: { text: secret } };
    const key = { 'idempotency-key': unique('key') };
    await ao.orchestrate(body, key);
    await erase(ao, name);
    const { status, body: problem } = await ao.post('/v1/orchestrate', body, key);
    expect([status, problem.code]).toEqual([410, 'erased']);
    expect(await tracesOf(ao.db, secret)).toEqual([]);
  });

  it('is forbidden by a legal hold over the session, or over the tenant, until it is released', async () => {
    const [name, why] = [unique('name'), { reason: 'case 12/26', requested_by: 'legal' }];
    await echo(name, 'held');
    for (const over of [{ session_id: name }, {}]) {
      const { body: hold } = await ao.post('/v1/holds', { ...over, ...why });
      expect(hold).toMatchObject({ hold_id: aUlid, session_id: over.session_id ?? null, ...why });
      expect((await ao.get('/v1/holds')).body).toEqual({ holds: [hold] });
      for (const body of [{}, { fields: ['parameters'] }]) {
        const { status, body: problem } = await ao.post(`/v1/sessions/${name}/erase`, { ...WHY, ...body });
        expect([status, problem.code, problem.detail]).toEqual([409, 'legal_hold', expect.stringContaining(hold.hold_id)]);
      }
      expect((await ao.get(`/v1/sessions/${name}`)).body).toMatchObject({ state: 'open' }); // not even closed
      const release = () => ao.post(`/v1/holds/${hold.hold_id}/release`, why);
      expect((await release()).body).toMatchObject({ hold_id: hold.hold_id });
      expect((await release()).status).toBe(404);
    }
    expect((await ao.get('/v1/holds')).body).toEqual({ holds: [] });
    expect(await erase(ao, name)).toMatchObject({ whole: true });
    expect((await ao.post('/v1/holds', { session_id: name, ...why })).status).toBe(404);
  });

  it('by age reaches all that is old of a session in which something always runs, and those behind one that cannot be erased', async () => {
    const appender = new Appender(ao.db);
    const old = new Date(Date.now() - 40 * 86_400_000).toISOString();
    const begin = async (name: string, text: string) => {
      const stream = newStream();
      const opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
      await appender.append({ stream, drafts: contractIntent(stream, text).drafts.map((draft) => ({ ...draft, time: old })), opening });
      return stream;
    };
    const [bad, busy] = [unique('a-bad'), unique('busy')];
    const [a, b] = [unique('secret'), unique('secret')];
    const badStream = await begin(bad, a);
    const stream = await begin(busy, b);
    const many = Array.from({ length: 500 }, () => contractIntent(stream).drafts).flat();
    await appender.append({ stream, drafts: many.map((draft) => ({ ...draft, time: old })) });
    await ao.db.query(`INSERT INTO open_request (id, stream, owner, deadline) VALUES ('01BUSY', $1, 'test', now() + interval '1 hour')`, [
      stream,
    ]);
    await ao.db.query(
      `CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
       CREATE TRIGGER fault BEFORE INSERT ON event FOR EACH ROW WHEN (NEW.stream = '${badStream}') EXECUTE FUNCTION fault()`,
    );
    const retention = new Retention(ao.db, ao.server.app.get(CommandBus), 30);
    await retention.look();
    expect([retention.status()['contracts'], retention.status()['last_error']]).toEqual([501, expect.any(String)]);
    expect([await tracesOf(ao.db, b), await tracesOf(ao.db, a)]).toEqual([[], [expect.stringContaining('payload')]]);

    await ao.db.query('DROP TRIGGER fault ON event; DROP FUNCTION fault()');
    await ao.db.query(`DELETE FROM open_request WHERE id = '01BUSY'`);
    await retention.look();
    expect(retention.status()).toMatchObject({ sessions: 2, last_error: null });
    expect([await tracesOf(ao.db, a), await tracesOf(ao.db, busy)]).toEqual([[], []]);
  });

  it('happens by age: sessions long over as a whole, of those that go on the old contracts; held ones stay', async () => {
    const appender = new Appender(ao.db);
    const old = new Date(Date.now() - 40 * 86_400_000).toISOString();
    const begin = async (name: string, text: string) => {
      const stream = newStream();
      const opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
      const drafts = contractIntent(stream, text).drafts.map((draft) => ({ ...draft, time: old }));
      await appender.append({ stream, drafts, opening });
      return drafts[0]!.id;
    };
    const [over, going, held] = [unique('over'), unique('going'), unique('held')];
    const [a, b, c] = [unique('secret'), unique('secret'), unique('secret')];
    await begin(over, a);
    await begin(going, b);
    const heldId = await begin(held, c);
    await echo(going, 'of today');
    const { body: hold } = await ao.post('/v1/holds', { session_id: held, reason: 'case', requested_by: 'legal' });

    const retention = ao.server.app.get(Retention);
    await retention.look();
    expect(retention.status()).toMatchObject({ sessions: 1, contracts: 1, held: 1, last_error: null });
    expect([await tracesOf(ao.db, a), await tracesOf(ao.db, over), await tracesOf(ao.db, b)]).toEqual([[], [], []]);
    expect((await item(heldId)).request.parameters).toEqual({ text: c });
    expect((await ao.get(`/v1/contracts?session_id=${going}&type=REQUEST`)).body.contracts.at(-1).parameters).toEqual({ text: 'of today' });

    await ao.post(`/v1/holds/${hold.hold_id}/release`, { reason: 'closed', requested_by: 'legal' });
    await retention.look();
    expect(retention.status()).toMatchObject({ sessions: 2, contracts: 1, held: 0 });
    expect(await tracesOf(ao.db, c)).toEqual([]);
    expect((await verdictOf(ao.db)).erased.by).toContainEqual({ erasure: aUlid, basis: 'kept for 30 days', events: 2 });
  });
});
