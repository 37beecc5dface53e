/**
 * What is found of a forgery, by whom, and what is not: docs/audit.md shows this table. Three auditors look: one with nothing but the ledger,
 * one who got the log's key elsewhere, one who kept a checkpoint from before.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exitCodeOf } from '../../src/audit/verify.cli.js';
import type { VerifyScope } from '../../src/audit/verify.js';
import { noteAt } from '../../src/ledger/checkpoint.postgres.js';
import type { Database, Tx } from '../../src/ledger/database.postgres.js';
import { LogEpochs } from '../../src/ledger/log-epoch.postgres.js';
import { signerKey } from '../../src/ledger/note.js';
import { CheckpointSigner } from '../../src/ledger/signer.postgres.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectSound } from '../support/sound.js';
import { Attacker } from './attacker.js';
import { KEY, ORIGIN, VKEY } from './paper-evidence.js';
import { Recorder, undone, verdictOf } from './recorded-sessions.js';

describeEachDatabase('of an attack on the ledger', (open) => {
  let db: Database;
  let before: string;
  let sizeBefore: number;
  let sizeDumped: number;
  const streams: Record<string, string> = {};

  beforeAll(async () => {
    ({ db } = await open());
    const recorder = new Recorder(db);
    const epochs = new LogEpochs(db, recorder.appender, { wanted: ORIGIN, keys: [KEY], keyFile: '' }, null);
    const signer = new CheckpointSigner(db, epochs, [KEY], null);
    const sign = async () => {
      await recorder.sequenceAll();
      for (let signed = await signer.sign(0); !(signed && 'now' in signed && signed.now); ) signed = await signer.sign(0);
      const [row] = await db.query<{ size: number }>('SELECT max(size) AS size FROM checkpoint');
      return row!.size;
    };
    streams['old'] = await recorder.session('old', 3);
    sizeDumped = await sign();
    streams['older'] = await recorder.session('older', 3);
    sizeBefore = await sign();
    before = (await noteAt(db, ORIGIN, sizeBefore))!;
    for (const name of ['new', 'newer']) streams[name] = await recorder.session(name, 3);
    await sign();
  });

  /** Exit codes of verify --anchored: with nothing from outside, with the key, with the checkpoint that was kept. */
  async function found(tx: Tx): Promise<string> {
    const auditors: VerifyScope[] = [{}, { keys: [VKEY] }, { known: [{ note: before, from: 'kept' }] }];
    const codes = [];
    for (const auditor of auditors) codes.push(exitCodeOf(await verdictOf(tx, auditor), true));
    return codes.join(' ');
  }

  const eventOf = async (tx: Tx, name: string, seq: number) => {
    const [row] = await tx.query<{ event_id: string }>('SELECT event_id FROM event WHERE stream = $1 AND seq = $2', [streams[name], seq]);
    return row!.event_id;
  };
  type Attack = (attacker: Attacker, tx: Tx) => Promise<unknown>;
  const edit: Attack = async (attacker, tx) => attacker.edit(await eventOf(tx, 'old', 3), { capability: 'harmless' });
  const then =
    (...attacks: Attack[]): Attack =>
    async (attacker, tx) => {
      for (const attack of attacks) await attack(attacker, tx);
    };
  const exchange: Attack = (attacker) => attacker.exchange(5);
  const coverUp: Attack = (attacker) => attacker.coverUp();
  const forget: Attack = (attacker) => attacker.forgetSignatures();
  const usurp: Attack = (attacker) => attacker.signAgain(signerKey(ORIGIN, Buffer.alloc(32, 9)));
  const resign: Attack = (attacker) => attacker.signAgain();
  const remove =
    (where: string, name: string): Attack =>
    async (attacker) =>
      expect(await attacker.remove(where, [streams[name]])).toBeGreaterThan(0);
  const last = `e.stream = $1 AND e.seq >= 5`;
  const whole = 'e.stream = $1';
  const cutTo =
    (size: () => number): Attack =>
    async (attacker) =>
      attacker.remove('e.id IN (SELECT event FROM leaf WHERE idx >= $1)', [size()]);

  // 0 nothing found and anchored, 5 nothing found but not anchored, 2 invalid, 3 diverged, 4 incomplete.
  const NOTHING = '5 0 0';
  const below = cutTo(() => sizeBefore - 2);
  const restore: Attack = then(
    cutTo(() => sizeDumped),
    coverUp,
    (attacker) => attacker.forgetSignaturesAfter(sizeDumped),
  );
  const anHourAgo: Attack = (_, tx) => tx.query(`UPDATE leaf SET sequenced_at = sequenced_at - interval '1 hour'`);
  const newer: Attack = async (attacker, tx) => attacker.edit(await eventOf(tx, 'new', 3), { capability: 'harmless' });
  const MATRIX: [attack: string, done: Attack, codes: string][] = [
    ['a payload is edited', (_, tx) => tx.query(`UPDATE payload SET bytes = bytes || ' '`), '2 2 2'],
    ['a payload is deleted', (_, tx) => tx.query(`DELETE FROM payload WHERE name = 'result'`), '4 4 4'],
    [
      'a record is edited',
      (_, tx) => tx.query(`UPDATE event SET record = replace(convert_from(record, 'UTF8'), 'echo"', 'ecco"')::bytea WHERE seq = 3`),
      '2 2 2',
    ],
    ['a record is edited and its own hash made to fit', edit, '2 2 2'],
    ['a record is edited and covered up', then(edit, coverUp), '2 2 2'],
    ['a record is edited and covered up, the signatures deleted', then(edit, coverUp, forget), '5 4 3'],
    ['a record is edited, covered up and signed again', then(edit, coverUp, resign), '5 0 3'],
    ['a record is deleted in the middle', remove('e.stream = $1 AND e.seq = 3', 'old'), '2 2 2'],
    ['the last records of a session are deleted', remove(last, 'old'), '2 2 2'],
    ['the last records of a session are deleted and covered up', then(remove(last, 'old'), coverUp), '2 2 2'],
    ['the last records of a session are deleted, covered up and signed again', then(remove(last, 'old'), coverUp, resign), '5 0 3'],
    ['a session is deleted', remove(whole, 'old'), '2 2 2'],
    ['a session is deleted and covered up', then(remove(whole, 'old'), coverUp), '2 2 2'],
    ['a session is deleted, covered up and signed again', then(remove(whole, 'old'), coverUp, resign), '5 0 3'],
    ['two events of the global order change places', then(exchange, coverUp), '2 2 2'],
    ['two events of the global order change places, signed again', then(exchange, coverUp, resign), '5 0 3'],
    ['the log is cut below the kept checkpoint and covered up', then(below, coverUp), '2 2 2'],
    ['the log is cut below the kept checkpoint, covered up and signed again', then(below, coverUp, resign), '5 0 3'],
    ['the log is cut below the kept checkpoint and covered up, the signatures deleted', then(below, coverUp, forget), '5 4 3'],
    ['an old dump is restored, with the checkpoints it had, from before the kept one', restore, '5 0 3'],
    ['a session newer than the kept checkpoint is edited and covered up, the signatures deleted', then(newer, coverUp, forget), '5 4 5'],
    ['a session newer than the kept checkpoint is edited, covered up and signed with another key', then(newer, coverUp, usurp), '5 2 5'],
    [
      'a session newer than the kept checkpoint is edited and covered up, only the signatures over it deleted',
      then(anHourAgo, newer, coverUp, (attacker) => attacker.forgetSignaturesAfter(sizeBefore)),
      '5 5 5',
    ],
    // Between the checkpoint that was kept and the next one, the operator's word is all there is.
    [
      'the log is cut above the kept checkpoint, covered up and signed again',
      then(
        cutTo(() => sizeBefore + 3),
        coverUp,
        resign,
      ),
      NOTHING,
    ],
    ['a session newer than the kept checkpoint is edited, covered up and signed again', then(newer, coverUp, resign), NOTHING],
  ];

  it('docs/audit.md shows just this', async () => {
    const page = await readFile(join(__dirname, '../../docs/audit.md'), 'utf8');
    const rows = [...page.matchAll(/^\| ([^|]+) \| ([0-9*]+) \| ([0-9*]+) \| ([0-9*]+) \|$/gm)];
    const shown = rows.map(([, attack, ...codes]) => [attack, codes.join(' ').replaceAll('*', '')]);
    expect(shown).toEqual(MATRIX.map(([attack, , codes]) => [attack, codes]));
  });

  it('nothing is reported where nothing was done', async () => {
    expect(await found(db)).toBe(NOTHING);
  });

  it('nothing is reported where a perfect cover-up changes nothing, so what is found is the attack', async () => {
    await undone(db, async (tx) => {
      await (await Attacker.in(tx)).coverUp();
      expect(await found(tx)).toBe(NOTHING);
    });
  });

  it.each(MATRIX)('%s: found by each of the three auditors as the table says', async (_, attack, codes) => {
    await undone(db, async (tx) => {
      await attack(await Attacker.in(tx), tx);
      expect(await found(tx)).toBe(codes);
    });
  });

  it('all of it was undone', () => expectSound(db));
});
