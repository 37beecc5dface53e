import { randomBytes } from 'node:crypto';
import { Appender } from '../../src/ledger/append.worker.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';
import { disclosedValues, payloadsOf } from '../../src/ledger/payload.postgres.js';
import { describeEachDatabase } from '../support/databases.js';
import {
  contractIntent,
  idleSession,
  newStream,
  openingIntent,
  requestDraft,
  requestIntent,
  responseDraft,
  responseIntent,
  runContract,
} from '../support/intents.js';
import { expectSound } from '../support/sound.js';

const codes = (results: { refusal?: { code: string } | undefined }[]) => results.map((r) => r.refusal?.code ?? 'appended');

describeEachDatabase('the appender', (open) => {
  let db: Database;
  let appender: Appender;

  beforeAll(async () => {
    db = (await open()).db;
  });
  beforeEach(() => {
    appender = new Appender(db);
  });

  it('chains what is appended to a stream and returns places and hashes', async () => {
    const stream = newStream();
    const first = await appender.append(contractIntent(stream));
    const second = await appender.append(contractIntent(stream));
    expect([...(first.refusal ? [] : first.placed), ...(second.refusal ? [] : second.placed)].map((p) => p.seq)).toEqual([1, 2, 3, 4]);
    const stored = await db.query<{ hash: Buffer }>('SELECT hash FROM event WHERE stream = $1 ORDER BY seq', [stream]);
    expect(stored[3]!.hash.equals(second.refusal ? Buffer.alloc(0) : second.placed[1]!.hash)).toBe(true);
    await expectSound(db);
  });

  it('sends what arrives while a batch is in flight as one batch', async () => {
    await Promise.all(Array.from({ length: 150 }, () => appender.append(contractIntent(newStream()))));
    expect(Number(appender.status()['batches'])).toBeLessThanOrEqual(3); // 300 events, at most 200 a batch
    await expectSound(db);
  });

  it('puts many intents for one stream into one batch, each in its place', async () => {
    const stream = newStream();
    await Promise.all(Array.from({ length: 60 }, () => appender.append(contractIntent(stream))));
    expect(appender.status()).toMatchObject({ batches: 1, events: 120, lost: 0 });
    await expectSound(db);
  });

  it('refuses a RESPONSE that another writer has given already, and appends the other 199 of the batch', async () => {
    const stream = newStream();
    const request = requestDraft();
    await appender.append(requestIntent(stream, request));
    await new Appender(db).append(responseIntent(stream, request.id)); // behind our back: our cached state is old now
    const batch = Array.from({ length: 199 }, () => ({ stream: newStream(), drafts: [newDraft('agent.health', {})] }));
    const results = await Promise.all([responseIntent(stream, request.id), ...batch].map((intent) => appender.append(intent)));
    expect(codes(results)).toEqual(['not_open', ...batch.map(() => 'appended')]);
    await expectSound(db);
  });

  it('isolates an event whose id is taken by halving the batch, and appends the other 199', async () => {
    const taken = requestDraft();
    await appender.append({ stream: newStream(), drafts: [taken, responseDraft(taken.id)] });
    const twin = { ...newDraft('agent.health', {}), id: taken.id };
    const batch = Array.from({ length: 199 }, () => ({ stream: newStream(), drafts: [newDraft('agent.health', {})] }));
    batch.splice(77, 0, { stream: newStream(), drafts: [twin] });
    const results = await Promise.allSettled(batch.map((intent) => appender.append(intent)));
    expect(results.filter((r) => r.status === 'rejected')).toHaveLength(1);
    expect(results[77]).toMatchObject({ status: 'rejected', reason: { code: 'internal', message: expect.stringContaining(taken.id) } });
    expect(Number(appender.status()['halved'])).toBeGreaterThanOrEqual(7);
    await expectSound(db);
  });

  it('isolates a bad event among many of one stream and keeps the chain whole around it', async () => {
    const stream = newStream();
    const taken = requestDraft();
    await appender.append({ stream, drafts: [taken, responseDraft(taken.id)] });
    const intents = Array.from({ length: 20 }, () => contractIntent(stream));
    intents.splice(9, 0, { stream, drafts: [{ ...newDraft('session.compressed', {}), id: taken.id }] });
    const results = await Promise.allSettled(intents.map((intent) => appender.append(intent)));
    expect(results.flatMap((r, i) => (r.status === 'rejected' ? [i] : []))).toEqual([9]);
    await expectSound(db);
  });

  it('takes no contract event after the seal, and no seal while a REQUEST is open', async () => {
    const stream = newStream();
    const request = requestDraft();
    await appender.append(requestIntent(stream, request));
    const seal = () => appender.append({ stream, drafts: [newDraft('session.closed', { reason: 'requested' })] });
    expect(await seal()).toEqual({ refusal: { code: 'busy', open: 1 } });
    await appender.append(responseIntent(stream, request.id));
    expect(codes([await seal()])).toEqual(['appended']);
    const late = await Promise.all([requestIntent(stream), contractIntent(stream)].map((i) => appender.append(i)));
    const fresh = await new Appender(db).append(requestIntent(stream));
    expect(codes([...late, fresh])).toEqual(['closed', 'closed', 'closed']);
    expect(codes([await appender.append({ stream, drafts: [newDraft('session.compressed', {})] })])).toEqual(['appended']);
    await expectSound(db);
  });

  it('appends on a condition only where the stream stands', async () => {
    const stream = newStream();
    const draft = () => newDraft('agent.updated', { version: '1.0.0' });
    expect(codes([await appender.append({ stream, drafts: [draft()], expectSeq: 0 })])).toEqual(['appended']);
    const raced = await Promise.all([1, 1, 1].map((expectSeq) => appender.append({ stream, drafts: [draft()], expectSeq })));
    expect(codes(raced).sort()).toEqual(['appended', 'moved', 'moved']);
    await expectSound(db);
  });

  it('gives a session name to one stream, with the name as a disclosure of its first record', async () => {
    const results = await Promise.all(Array.from({ length: 5 }, () => new Appender(db).append(openingIntent('one name'))));
    expect(codes(results).sort()).toEqual(['appended', 'renamed', 'renamed', 'renamed', 'renamed']);
    const names = await db.query(
      `SELECT e.seq FROM session s JOIN event e ON e.stream = s.stream JOIN payload p ON p.event = e.id AND p.name = 'session' WHERE s.name = 'one name'`,
    );
    expect(names).toEqual([{ seq: 1 }]);
    const [row] = await db.query<{ n: number }>(`SELECT count(*) AS n FROM session WHERE name = 'one name'`);
    expect(row!.n).toBe(1);
    const won = results.find((r) => !r.refusal) as { placed: { draft: { id: string } }[] };
    const [{ stream }] = (await db.query<{ stream: string }>(`SELECT stream FROM session WHERE name = 'one name'`)) as [{ stream: string }];
    await appender.append(responseIntent(stream, won.placed[0]!.draft.id));
    await expectSound(db);
  });

  it('gives a name that was erased to nobody who would go on from the erased stream', async () => {
    const closed = await idleSession(appender, 'erased');
    await db.query(`DELETE FROM session WHERE name = 'erased'`);
    expect(codes([await appender.append(openingIntent('erased', closed))])).toEqual(['renamed']);
    expect(await db.query(`SELECT 1 FROM session WHERE name = 'erased'`)).toEqual([]);
    await idleSession(appender, 'erased'); // it is free for what begins anew
    expect(await db.query(`SELECT earlier FROM session WHERE name = 'erased'`)).toEqual([{ earlier: [] }]);
    await expectSound(db);
  });

  it('lets an idempotency key stand for one REQUEST, within a batch and across appenders', async () => {
    const key = randomBytes(32);
    const claim = () => ({ scope: 'default/', key, salt: randomBytes(16), body: randomBytes(32) });
    const keyed = () => ({ ...contractIntent(newStream()), key: claim() });
    const [here, there] = [appender, new Appender(db)];
    const results = await Promise.all([
      here.append(keyed()),
      here.append(keyed()),
      there.append(keyed()),
      here.append(contractIntent(newStream())),
    ]);
    expect(codes(results).slice(0, 3).sort()).toEqual(['appended', 'key_used', 'key_used']);
    expect(codes(results)[3]).toBe('appended');
    const [used] = await db.query<{ request: string }>('SELECT request FROM idempotency WHERE key = $1', [key]);
    const refused = results.flatMap((r) => (r.refusal?.code === 'key_used' ? [r.refusal.request] : []));
    expect(refused).toEqual([used!.request, used!.request]);
  });

  it('sends an event larger than a batch alone', async () => {
    const big = newDraft('session.compressed', {}, { result: 'x'.repeat(5 * 1024 * 1024) });
    const results = await Promise.all([
      appender.append(contractIntent(newStream())),
      appender.append({ stream: newStream(), drafts: [big] }),
      appender.append(contractIntent(newStream())),
    ]);
    expect(codes(results)).toEqual(['appended', 'appended', 'appended']);
    expect(appender.status()).toMatchObject({ batches: 3 });
  });

  it('refuses a record over 60 KiB or with more than 32 disclosures before it is written, and nothing else of the batch', async () => {
    const stream = newStream();
    const long = newDraft('session.compressed', { capability: 'x'.repeat(60 * 1024) });
    const many = newDraft('session.compressed', {}, Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`p${i}`, i])));
    const results = await Promise.allSettled([
      appender.append({ stream, drafts: [newDraft('agent.health', {}), long] }),
      appender.append({ stream, drafts: [many] }),
      appender.append({ stream, drafts: [newDraft('agent.health', {})] }),
    ]);
    expect(results.map((r) => (r.status === 'rejected' ? r.reason.code : 'appended'))).toEqual([
      'payload_too_large',
      'payload_too_large',
      'appended',
    ]);
    const rows = await db.query('SELECT seq FROM event WHERE stream = $1', [stream]);
    expect(rows).toEqual([{ seq: 1 }]);
  });

  it('keeps text with U+0000 and astral characters exactly', async () => {
    const stream = newStream();
    const text = 'a\u0000b 😀 ü';
    await appender.append({ stream, drafts: [newDraft('session.compressed', {}, { result: text })] });
    const [row] = await db.query<{ id: number }>('SELECT id FROM event WHERE stream = $1', [stream]);
    expect(disclosedValues((await payloadsOf(db, [row!.id])).get(row!.id))).toEqual({ result: text });
  });

  it.each([
    'UPDATE event SET seq = seq',
    'DELETE FROM event',
    'TRUNCATE event CASCADE',
    'UPDATE leaf SET idx = idx',
    'DELETE FROM leaf',
    'TRUNCATE leaf',
  ])('the database itself refuses %s', async (sql) => {
    await expect(db.query(sql)).rejects.toThrow(/append-only/);
  });

  it('reads its own writes: a contract run twice is two contracts', async () => {
    const stream = newStream();
    for (let i = 0; i < 3; i++) expect(codes([await runContract(appender, stream)])).toEqual(['appended']);
    await expectSound(db);
  });

  it('is over a dump restored under it, which makes the types of its parameters anew, with one failure for each connection', async () => {
    const [made] = await db.query<{ sql: string }>(
      `SELECT 'CREATE TYPE append_head AS (' || string_agg(format('%I %s', attname, format_type(atttypid, NULL)), ', ' ORDER BY attnum) || ')' AS sql
         FROM pg_attribute WHERE attrelid = 'append_head'::regclass`,
    );
    const free = () => appender.append(contractIntent(newStream()));
    const inTurn = () => appender.append({ ...contractIntent(newStream()), unerased: { streams: [], erasures: 0 } });
    for (const append of [free, inTurn]) {
      await append();
      await db.query(`DROP TYPE append_head; ${made!.sql}`);
      const outcomes: string[] = [];
      for (let i = 0; i < 12 && outcomes.at(-1) !== 'appended'; i++) {
        outcomes.push(
          await append().then(
            (result) => codes([result])[0]!,
            (error: { code: string }) => error.code,
          ),
        );
      }
      expect(outcomes.at(-1)).toBe('appended');
      expect(new Set(outcomes.slice(0, -1))).toEqual(new Set(['internal']));
    }
    await expectSound(db);
  });

  it('seals what goes on a known stream when it arrives, and stores that', async () => {
    const stream = newStream();
    await appender.append(contractIntent(stream));
    const draft = newDraft('contract.request', { status: 'pending', task: 'a' }, { parameters: { city: 'Oslo' } });
    const sent = appender.append(requestIntent(stream, draft));
    const { stored } = draft.disclosures[0]!;
    expect(stored).toBeDefined();
    await sent;
    const rows = await db.query<{ key_id: string; bytes: Buffer }>(
      'SELECT p.key_id, p.bytes FROM payload p JOIN event e ON e.id = p.event WHERE e.event_id = $1',
      [draft.id],
    );
    expect(rows).toEqual([{ key_id: stored!.key, bytes: stored!.bytes }]);
    await expectSound(db, { open: 1 });
  });
});
