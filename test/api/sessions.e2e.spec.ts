import { join } from 'node:path';
import { nap } from '../support/nap.js';
import { type Answer, running } from '../support/orchestrator.js';
import { describeEachPlace, scratchDirectory } from '../support/place.js';
import { aHash, aSessionStream, countEvents, expectRecorded, noted, recorded } from '../support/recorded.js';

describeEachPlace('closing a session', (make) => {
  const ao = running(make);
  const close = (session: string, query = '') => ao.post(`/v1/sessions/${encodeURIComponent(session)}/close${query}`);
  let note: string;
  beforeEach(async () => {
    note = join(await scratchDirectory(), 'note');
  });

  /** A call that is under way when this resolves; it ends with its session or after ten seconds. */
  const underWay = async (session_id: string, capability: string): Promise<{ answer: Promise<Answer> }> => {
    const answer = ao.orchestrate({ session_id, capability, parameters: { note }, timeout_seconds: 10 });
    await noted(note, 'started');
    return { answer };
  };
  const asleep = async (session_id: string) => {
    const { parameters, begun, wake } = await nap();
    const answer = ao.orchestrate({ session_id, capability: 'sleeps', parameters });
    await begun();
    return { answer, wake };
  };

  it('seals it: last_seq and last_head stand in the record, and no work is taken any more', async () => {
    const { receipt } = await ao.orchestrate({ session_id: 'done', capability: 'mirrors' });
    const { status, body } = await close('done');
    expect([status, body]).toEqual([200, { session_id: 'done', closed: true, receipt: { stream: aSessionStream, seq: 3, hash: aHash } }]);
    const [seal] = await recorded(ao.db, `e.stream = $1 AND e.type = 'session.closed'`, [receipt.stream]);
    expect(seal!.record).toMatchObject({ seq: 3, last_seq: 2, last_head: receipt.hash, reason: 'requested' });
    expect(seal!.hash).toBe(body.receipt.hash);

    const events = await countEvents(ao.db);
    for (const capability of ['mirrors', 'nobody-offers-this']) {
      const refused = await ao.post('/v1/orchestrate', { session_id: 'done', capability });
      expect([refused.status, refused.body.code]).toEqual([409, 'session_closed']);
    }
    const again = await close('done', '?cancel=true');
    expect([again.status, again.body.code]).toEqual([409, 'session_closed']);
    expect(await countEvents(ao.db)).toBe(events); // refused is not recorded
    const { body: page } = await ao.get('/v1/contracts?session_id=done');
    expect(page).toMatchObject({ total: 2, contracts: [{ status: 'completed' }, { status: 'completed' }] });
  });

  it('is refused while a call is under way, which then ends as if nothing had been', async () => {
    const { answer, wake } = await asleep('busy');
    const { status, body } = await close('busy');
    expect([status, body.code]).toEqual([409, 'session_busy']);
    await wake();
    const told = await answer;
    expect(told).toMatchObject({ success: true, data: { slept: 0 } });
    await expectRecorded(ao.db, told);
    expect((await close('busy', '?cancel=false')).status).toBe(200);
  });

  it.each(['obeys', 'never-answers'])(
    'with ?cancel=true ends a running call: its agent is told, its caller gets `cancelled` (%s)',
    async (capability) => {
      const { answer } = await underWay(`cancel ${capability}`, capability);
      const { status, body } = await close(`cancel ${capability}`, '?cancel=true');
      expect([status, body.closed, body.receipt.seq]).toEqual([200, true, 3]);
      const told = await answer;
      expect(told).toMatchObject({ success: false, data: null, error_code: 'cancelled', agent_id: 'moody' });
      await expectRecorded(ao.db, told);
      await noted(note, 'aborted');
      const { body: contract } = await ao.get(`/v1/contracts/${told.contract_id}`);
      expect(contract).toMatchObject({ request: { status: 'cancelled', error_code: 'cancelled' }, response: { status: 'cancelled' } });
      const refused = await ao.post('/v1/orchestrate', { session_id: `cancel ${capability}`, capability: 'mirrors' });
      expect([refused.status, refused.body.code]).toEqual([409, 'session_closed']);
    },
  );

  it('with ?cancel=true ends every call of this session and none of another', async () => {
    const other = await asleep('bystander');
    const calls = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const own = join(await scratchDirectory(), 'note');
        const answer = ao.orchestrate({ session_id: 'crowd', capability: 'obeys', parameters: { note: own }, timeout_seconds: 10 });
        await noted(own, 'started');
        return { answer };
      }),
    );
    expect((await close('crowd', '?cancel=true')).status).toBe(200);
    for (const { answer } of calls) {
      const told = await answer;
      expect(told.error_code).toBe('cancelled');
      await expectRecorded(ao.db, told);
    }
    await other.wake();
    expect(await other.answer).toMatchObject({ success: true });
  });

  it('asked for many times at once, happens once', async () => {
    await ao.orchestrate({ session_id: 'together', capability: 'mirrors' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => close('together')));
    expect(answers.map((a) => a.status).sort()).toEqual([200, ...Array(9).fill(409)]);
  });

  it('while many ask for work: each is either done before the seal or refused', async () => {
    await ao.orchestrate({ session_id: 'rush', capability: 'mirrors' });
    const work = Array.from({ length: 40 }, async (_, i) => {
      if (i === 20) return close('rush', '?cancel=true');
      return ao.post('/v1/orchestrate', { session_id: 'rush', capability: i % 2 ? 'mirrors' : 'nobody-offers-this' });
    });
    for (const { status, body } of await Promise.all(work)) {
      expect([200, 409]).toContain(status);
      if (status === 409) expect(body.code).toBe('session_closed');
      else if (body.contract_id) await expectRecorded(ao.db, body as Answer);
    }
  });

  it.each(['a/b?c=d', '100%', 'ü 😀', 'x'.repeat(128)])('works whatever the session is called: %s', async (session_id) => {
    await ao.orchestrate({ session_id, capability: 'mirrors' });
    const { status, body } = await close(session_id);
    expect([status, body.session_id]).toEqual([200, session_id]);
  });

  it('that nobody has opened is a 404', async () => {
    const { status, body } = await close('never-opened', '?cancel=true');
    expect([status, body.code]).toEqual([404, 'not_found']);
  });

  it('with ?cancel=perhaps is a 400', async () => {
    const { status, body } = await close('x', '?cancel=perhaps');
    expect([status, body.errors]).toEqual([400, [{ field: 'cancel', message: expect.any(String) }]]);
  });
});
