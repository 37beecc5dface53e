import { Erasures } from '../../src/audit/erasures.worker.js';
import { Appender } from '../../src/ledger/append.worker.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { countErasures } from '../../src/ledger/erase.postgres.js';
import { blocksAfter } from '../../src/memory/blocks.postgres.js';
import { erase, failing, tracesOf, verdictOf, WHY } from '../support/erasing.js';
import { running, settled } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';
import { unlock } from './flipped-bits.js';
import { undone } from './recorded-sessions.js';

let serial = 0;
const unique = (what: string) => `${what}-${++serial}-of-a-person`;

/** Of an erasure, in the order in which it takes them: whatever a process dies before. */
const STEPS = [
  ['INSERT', 'erasure', 'nothing'],
  ['INSERT', 'event', 'nothing'],
  ['INSERT', 'erased', 'recorded'],
  ['UPDATE', 'idempotency', 'recorded'],
  ['UPDATE', 'payload_key', 'recorded'],
  ['DELETE', 'session', 'recorded'],
  ['DELETE', 'payload', 'recorded'],
  ['UPDATE', 'erasure', 'recorded'],
] as const;

describeEachPlace('an erasure that is broken off', (make) => {
  const ao = running(make);
  const erasures = () => ao.server.app.get(Erasures);
  const begin = async () => {
    const [name, secret] = [unique('name'), unique('secret')];
    const { contract_id: id, receipt } = await ao.orchestrate({ session_id: name, capability: 'echo', parameters: { text: secret } });
    return { name, secret, id, stream: receipt.stream };
  };
  const orders = async () => (await ao.db.query(`SELECT 1 FROM event WHERE type = 'payload.erased'`)).length;

  it.each(STEPS)('before the %s of %s has %s, verifies, and is finished by whoever comes next', async (kind, table, what) => {
    const { name, secret } = await begin();
    await ao.post(`/v1/sessions/${name}/close`); // so that the erasure's event is the next one
    const before = await orders();
    const mend = await failing(ao.db, kind, table);
    const { status } = await ao.post(`/v1/sessions/${name}/erase`, WHY);
    expect(status).toBeGreaterThanOrEqual(500);
    await mend();
    expect((await orders()) - before).toBe(what === 'recorded' ? 1 : 0);
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });
    if (what === 'nothing') await erase(ao, name);
    else await erasures().finish('default');
    expect([await tracesOf(ao.db, secret), await tracesOf(ao.db, name)]).toEqual([[], []]);
    expect((await orders()) - before).toBe(1);
    expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });
  });

  it('is finished by asking again, and not recorded twice', async () => {
    const { name, secret, id } = await begin();
    const before = await orders();
    const mend = await failing(ao.db, 'DELETE', 'payload');
    expect((await ao.post(`/v1/sessions/${name}/erase`, { ...WHY, contracts: [id] })).status).toBe(500);
    await mend();
    expect(await tracesOf(ao.db, secret)).not.toEqual([]);
    expect(await erase(ao, name, { contracts: [id] })).toMatchObject({ erasures: [] });
    expect([await tracesOf(ao.db, secret), (await orders()) - before]).toEqual([[], 1]);
  });

  it('of which nothing was recorded leaves a note that is dropped in the end', async () => {
    await ao.db.query(
      `INSERT INTO erasure (event_id, tenant, session, asked_at) SELECT id, 'default', name, now() - interval '1 hour'
         FROM (VALUES ('01K', NULL), ('01L', 'a name')) v (id, name)`,
    );
    await erasures().look();
    expect(await ao.db.query(`SELECT 1 FROM erasure WHERE event_id IN ('01K', '01L')`)).toEqual([]);
    expect(erasures().status()).toMatchObject({ last_error: null });
  });

  it('is carried out before a legal hold is placed, which then has no session to stand over', async () => {
    const { name, secret } = await begin();
    const mend = await failing(ao.db, 'INSERT', 'erased');
    expect((await ao.post(`/v1/sessions/${name}/erase`, WHY)).status).toBe(500);
    await mend();
    const hold = await ao.post('/v1/holds', { session_id: name, reason: 'case 12/26', requested_by: 'legal' });
    expect([hold.status, await tracesOf(ao.db, secret)]).toEqual([404, []]);
    expect((await ao.get('/v1/holds')).body).toEqual({ holds: [] });
  });

  describe('beside a compression', () => {
    const blockOf = (text: string) => {
      const list = { sentences: [], key_decisions: [], facts: [], preferences: [], open_questions: [], failures: [] };
      const counts = { coverage: 1, removed_total: 0, parts: 1, tokens_in: 0, tokens_out: 0, tokens_cached: 0, compression_ratio: 1 };
      const none = { citations: [], not_covered: [], forgotten: [], removed: [], shortened: [], previous_block: null, fallback: null };
      const by = { summarizer: 'extractive', model: null, prompt_hash: null, cost: null, intent: null };
      const range = { from_seq: 1, to_seq: 2, source_hash: '0'.repeat(64) };
      return newDraft('session.compressed', {}, { memory: { summary: text, ...list, ...counts, ...none, ...by, ...range } });
    };

    it('that had read what goes, and comes later, is refused', async () => {
      const { name, secret, id, stream } = await begin();
      const appender = new Appender(ao.db);
      const unerased = { streams: [stream], erasures: await countErasures(ao.db, [stream]) };
      await erase(ao, name, { contracts: [id] });
      const late = await appender.append({ stream, drafts: [blockOf(secret)], unerased });
      expect(late.refusal?.code).toBe('erased');
      const now = { streams: [stream], erasures: await countErasures(ao.db, [stream]) };
      expect((await appender.append({ stream, drafts: [blockOf('nothing of it')], unerased: now })).refusal).toBeUndefined();
      expect(await tracesOf(ao.db, secret)).toEqual([]);
    });

    it.each(['contracts', 'the session'])(
      'that records its block between the order and the deletion of %s loses it, by an order of its own',
      async (what) => {
        const { name, secret, id } = await begin();
        const before = await orders();
        const mend = await failing(ao.db, 'INSERT', 'erased');
        const part = what === 'contracts' ? { contracts: [id] } : {};
        expect((await ao.post(`/v1/sessions/${name}/erase`, { ...WHY, ...part })).status).toBe(500);
        await mend();
        const { memory_block: block } = (await ao.post('/v1/compress', { session_id: name })).body;
        expect(JSON.stringify(block)).toContain(secret);
        await erasures().finish('default');
        expect(await tracesOf(ao.db, secret)).toEqual([]);
        expect((await orders()) - before).toBe(2);
        const verdict = await verdictOf(ao.db);
        expect([verdict.verdict, verdict.erased.by.filter(({ basis }) => basis === WHY.basis).length]).toEqual([
          'valid',
          verdict.erased.by.length,
        ]);
      },
    );

    it('that records its block in a row before the order and gets its place after it, is not explained by the order', async () => {
      const { name, stream } = await begin();
      const { memory_block: block } = (await ao.post('/v1/compress', { session_id: name })).body;
      const { erasures: ids } = await erase(ao, name);
      await settled(ao.db);
      const [order] = await ao.db.query<{ id: number }>('SELECT id FROM event WHERE event_id = $1', [ids[0]]);
      expect(await blocksAfter(ao.db, [stream], order!.id)).toEqual([]);
      await undone(ao.db, async (tx) => {
        await unlock(tx);
        await tx.query('UPDATE leaf SET idx = idx + 1000 WHERE event = (SELECT id FROM event WHERE event_id = $1)', [
          block.memory_block_id,
        ]);
        expect(await blocksAfter(tx, [stream], order!.id)).toEqual([block.memory_block_id]);
      });
    });

    it('never leaves a quote behind, however the two meet', async () => {
      for (let round = 0; round < 10; round++) {
        const { name, secret, id } = await begin();
        const compressing = ao.post('/v1/compress', { session_id: name }).then(({ status }) => status);
        const erasing = erase(ao, name, { contracts: [id] });
        expect([200, 503]).toContain(await compressing);
        await erasing;
        expect([round, await tracesOf(ao.db, secret)]).toEqual([round, []]);
      }
      expect(await verdictOf(ao.db)).toMatchObject({ verdict: 'valid' });
    });
  });
});
