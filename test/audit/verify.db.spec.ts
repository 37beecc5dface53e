import { verifyLedger } from '../../src/audit/verify.postgres.js';
import type { Finding } from '../../src/audit/verify-verdict.js';
import type { Database, Tx } from '../../src/ledger/database.postgres.js';
import { describeEachDatabase } from '../support/databases.js';
import { type Column, columns, type Damaged, flip, flipsOf, unlock } from './flipped-bits.js';
import { Recorder, undone, verdictOf } from './recorded-sessions.js';

type Event = { event_id: string; stream: string; seq: number } | undefined;
async function eventOf(tx: Tx, id: unknown): Promise<Event> {
  if (!Number.isSafeInteger(id)) return undefined; // beyond 2^53 there is none
  return (await tx.query<NonNullable<Event>>('SELECT event_id, stream, seq FROM event WHERE id = $1', [id]))[0];
}

/** What a finding must say to have named the damaged row. `owner`: the event that the row belonged to. */
async function expectRowNamed(tx: Tx, first: Finding, { table }: Column, { before, after }: Damaged): Promise<void> {
  const owner = await eventOf(tx, before['event']);
  switch (table) {
    case 'event':
      if (first.event_id !== before['event_id']) expect(first).toMatchObject({ stream: before['stream'], seq: before['seq'] });
      break;
    case 'payload':
      expect(first.event_id).toBe(((await eventOf(tx, after['event'])) ?? owner)?.event_id);
      expect(first.what).toContain(`payload ${JSON.stringify(after['name'])}`);
      break;
    case 'leaf':
      expect([before['idx'], after['idx']]).toContain(first.idx);
      break;
    case 'stream_head':
      expect([before['stream'], after['stream']]).toContain(first.stream);
  }
}

describeEachDatabase('verify', (open) => {
  let db: Database;
  let recorder: Recorder;

  beforeAll(async () => {
    ({ db } = await open());
    recorder = new Recorder(db);
    for (let i = 0; i < 4; i++) await recorder.session(`chat ${i}`, 4, i === 2);
    await recorder.sequenceAll();
  });

  afterEach(async () => {
    expect(await verdictOf(db)).toMatchObject({ verdict: 'valid', found: 0, open: { count: 1 } });
  });

  it('finds a sound ledger valid and has looked at all of it', async () => {
    const verdict = await verdictOf(db);
    expect(verdict).toMatchObject({ verdict: 'valid', events: 31, streams: 4, scope: 'ledger' });
    const counts = Object.fromEntries(verdict.checks.map(({ name, count }) => [name, count]));
    const looked = {
      'record hash': 31,
      chain: 31,
      'payload digests': 51,
      'stream heads': 4,
      'open requests': 1,
      tree: 31,
      leaves: 31,
      sequence: 31,
      sessions: 4,
    };
    expect(counts).toMatchObject(looked);
  });

  describe('finds and names one flipped bit', () => {
    const EXPECTED: [Column['table'], string][] = [
      ['event', 'capability cause error_code event_id from_agent hash id in_reply_to record seq status stream task time to_agent type'],
      ['leaf', 'digest event hash idx sequenced_at'],
      ['payload', 'bytes event key_id name'],
      ['stream_head', 'base head seq stream'],
    ];

    it('in the columns that the tables have, and no others', async () => {
      const found = await columns(db);
      const of = (table: string) => found.filter((c) => c.table === table).map((c) => c.column);
      expect(EXPECTED.map(([table]) => [table, of(table).join(' ')])).toEqual(EXPECTED);
    });

    const each = EXPECTED.flatMap(([table, names]) => names.split(' ').map((column) => [table, column] as const));
    it.each(each)('in %s.%s', async (table, column) => {
      const of = (await columns(db)).find((c) => c.table === table && c.column === column)!;
      await undone(db, async (tx) => {
        await unlock(tx);
        await tx.query('SAVEPOINT sound');
        for (const flipped of flipsOf(of)) {
          const damaged = await flip(tx, of, flipped);
          const { verdict, first } = await verdictOf(tx);
          expect([flipped, verdict]).toEqual([flipped, 'invalid']);
          await expectRowNamed(tx, first!, of, damaged);
          await tx.query('ROLLBACK TO SAVEPOINT sound');
        }
      });
    });
  });

  const deletions = [
    ['event', 'WHERE event_id = (SELECT max(event_id) FROM event WHERE in_reply_to IS NULL AND seq < 5)', 'invalid'],
    ['payload', 'WHERE event = (SELECT max(event) FROM payload)', 'incomplete'],
    ['leaf', 'WHERE idx = 7', 'invalid'],
    ['stream_head', 'WHERE stream = (SELECT max(stream) FROM stream_head)', 'invalid'],
    ['open_request', '', 'invalid'],
    ['sequencer', '', 'invalid'],
  ] as const;
  it.each(deletions)('finds a row that %s has lost', async (table, where, expected) => {
    await undone(db, async (tx) => {
      await unlock(tx);
      expect(await tx.query(`DELETE FROM ${table} ${where} RETURNING *`)).not.toHaveLength(0);
      expect(await verdictOf(tx)).toMatchObject({ verdict: expected });
    });
  });

  const strays = [
    ['pending', 'INSERT INTO pending (id) VALUES (4711)', /pending names event row 4711/],
    [
      'open_request',
      "INSERT INTO open_request VALUES ('01K', 'default/session/none', 'me', now())",
      /"01K" in a stream that does not exist/,
    ],
    ['stream_head', "INSERT INTO stream_head VALUES ('zzz/system', 1, '', '')", /"zzz\/system", which has no event/],
    [
      'session',
      "INSERT INTO session VALUES ('default', 'none', 'default/session/none')",
      /"default\/session\/none", which has no first event/,
    ],
  ] as const;
  it.each(strays)('finds a row of %s that belongs to nothing', async (_table, insert, says) => {
    await undone(db, async (tx) => {
      await tx.query(insert);
      expect(await verdictOf(tx)).toMatchObject({ verdict: 'invalid', found: 1, first: { what: expect.stringMatching(says) } });
    });
  });

  it('verifies one session alone, whatever happened to the others', async () => {
    const [session] = await db.query<{ stream: string }>("SELECT stream FROM session WHERE name = 'chat 1'");
    const scope = { session: { tenant: 'default', name: 'chat 1' } };
    await undone(db, async (tx) => {
      await unlock(tx);
      await tx.query("UPDATE event SET task = 'wrong' WHERE stream <> $1", [session!.stream]);
      const verdict = await verdictOf(tx, scope);
      expect(verdict).toMatchObject({ verdict: 'valid', scope: 'session', events: 8, streams: 1 });
      const unchecked = verdict.checks.filter(({ result }) => result === 'not checked').map(({ name, note }) => [name, note]);
      const why = 'only one session was asked for';
      expect(unchecked).toEqual([
        ...['tree', 'checkpoints', 'known checkpoints', 'sequence'].map((name) => [name, why]),
        ['session completeness', expect.stringContaining('not closed yet')],
      ]);
      await tx.query("UPDATE event SET task = 'wrong' WHERE stream = $1 AND seq = 3", [session!.stream]);
      expect(await verdictOf(tx, scope)).toMatchObject({ verdict: 'invalid', found: 1, first: { stream: session!.stream, seq: 3 } });
    });
  });

  it('verifies the earlier streams of a session that idleness closed, too', async () => {
    await undone(db, async (tx) => {
      await unlock(tx);
      const [older] = await tx.query<{ stream: string }>("SELECT stream FROM session WHERE name = 'chat 0'");
      await tx.query("DELETE FROM session WHERE name = 'chat 0'");
      await tx.query("UPDATE session SET earlier = $1 WHERE name = 'chat 1'", [[older!.stream]]);
      const verdict = await verdictOf(tx, { session: { tenant: 'default', name: 'chat 1' } });
      expect(verdict).toMatchObject({
        verdict: 'invalid',
        found: 1,
        events: 16,
        streams: 2,
        first: { check: 'sessions', stream: older!.stream },
      });
      await tx.query("UPDATE event SET task = 'wrong' WHERE stream = $1 AND seq = 2", [older!.stream]);
      expect(await verdictOf(tx, { session: { tenant: 'default', name: 'chat 1' } })).toMatchObject({ found: 2, first: { seq: 2 } });
    });
  });

  it('verifies a range of the global order alone, and says what that leaves out', async () => {
    const whole = await verdictOf(db, { range: { from: 5, to: 14 } });
    expect(whole).toMatchObject({ verdict: 'valid', scope: 'range', events: 10, found: 0 });
    expect(whole.checks.find(({ name }) => name === 'lifecycle')).toMatchObject({ result: 'not checked' });
    expect(await verdictOf(db, { range: { from: 0, to: 9999 } })).toMatchObject({ verdict: 'valid', events: 31 });
    await expect(verdictOf(db, { range: { from: 31, to: 40 } })).rejects.toMatchObject({ code: 'not_found' });
    const damages = [
      ["UPDATE event SET task = 'wrong' WHERE id = (SELECT event FROM leaf WHERE idx = 7)", 'invalid', 'columns'],
      [
        "UPDATE event SET record = record || ' '::bytea, hash = sha256('\\x00'::bytea || record || ' '::bytea) WHERE id = (SELECT event FROM leaf WHERE idx = 7)",
        'invalid',
        'canonical bytes',
      ],
      ['DELETE FROM payload WHERE event = (SELECT event FROM leaf WHERE idx = 7)', 'incomplete', 'payload digests'],
      ['DELETE FROM leaf WHERE idx = 7', 'invalid', 'sequence'],
      ['DELETE FROM leaf WHERE idx = 14', 'invalid', 'sequence'],
      ['DELETE FROM event WHERE id = (SELECT event FROM leaf WHERE idx = 7)', 'invalid', 'sequence'],
      ['UPDATE leaf SET hash = digest WHERE idx = 7', 'invalid', 'leaves'],
    ] as const;
    for (const [damage, verdict, check] of damages) {
      await undone(db, async (tx) => {
        await unlock(tx);
        await tx.query(damage);
        const found = await verdictOf(tx, { range: { from: 5, to: 14 } });
        expect([damage, found.verdict, found.findings.map((one) => one.check)]).toEqual([damage, verdict, expect.arrayContaining([check])]);
        expect(await verdictOf(tx, { range: { from: 15, to: 99 } })).toMatchObject({ verdict: 'valid' });
      });
    }
  });

  it('refuses to verify a session that does not exist', async () => {
    const scope = { session: { tenant: 'default', name: 'chat 17' } };
    await expect(verdictOf(db, scope)).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('"chat 17"') });
  });

  it('reports progress up to all events', async () => {
    const seen = [];
    for await (const message of verifyLedger(db)) if ('done' in message) seen.push(message);
    expect(seen).toEqual([
      { done: 0, total: 31 },
      { done: 31, total: 31 },
    ]);
  });
});
