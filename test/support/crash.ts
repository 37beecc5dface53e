/**
 * kill -9 under load. What a caller was told must be in the ledger, whatever moment the process died at; what he was not told must be
 * there as a whole or not at all; and nothing stays open. One spec file per database, so that both run at the same time.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Database } from '../../src/ledger/database.postgres.js';
import { type Load, send, startLoad } from './load.js';
import { emptyPlace, inspect, type Kind, type Place, placeOf } from './place.js';
import { endAll, type Process, spawnOrchestrator } from './process.js';
import { expectSound } from './sound.js';
import { until } from './until.js';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 5);
/** Of the start, per kind of database. */
const START_ROUNDS = Math.max(2, Math.min(ROUNDS, 4));
const say = (line: string) => process.stdout.write(`${line}\n`);
const upTo = (milliseconds: number) => Math.round(Math.random() * milliseconds);

async function kill(own: Process): Promise<void> {
  own.signal('SIGKILL');
  expect(await own.ended).toEqual({ code: null, signal: 'SIGKILL' });
}

async function stop(own: Process): Promise<void> {
  own.signal('SIGTERM');
  expect([await own.ended, own.stderr()]).toEqual([{ code: 0, signal: null }, '']);
}

/**
 * Others may close what a process had open only when it was unseen for 30 s. It is the clock that is simulated here, nothing else: the
 * dead process renewed its row a moment ago. Embedded, nobody else can be alive and the start closes everything.
 */
async function thirtySecondsLater(place: Place): Promise<void> {
  if (place.settings.DATABASE_URL === undefined) return;
  await inspect(place, (db) => db.query(`UPDATE instance SET seen_at = seen_at - interval '31 s'`));
}

async function nothingOpen(url: string): Promise<void> {
  await until(
    'nothing is open',
    async () => ((await (await fetch(`${url}/v1/status`)).json()) as { ledger: { open_requests: number } }).ledger.open_requests === 0,
    20_000,
  );
}

/** Who used a key asks again: the same answer if there was one, one answer if there was none. */
async function expectSameAnswers(url: string, { acknowledged, unanswered }: Load): Promise<string[]> {
  const pool = new Pool(url, { connections: 4 });
  try {
    for (const { answer, ...sent } of acknowledged.filter((a) => a.key !== undefined).slice(-30)) {
      expect(await send(pool, sent)).toEqual({ status: 200, body: answer });
    }
    const settled: string[] = [];
    for (const sent of unanswered.filter((u) => u.key !== undefined)) {
      const { status, body } = await send(pool, sent);
      expect([status, body]).toEqual([200, expect.objectContaining({ contract_id: expect.any(String) })]);
      expect(await send(pool, sent)).toEqual({ status, body });
      settled.push((body as { contract_id: string }).contract_id);
    }
    return settled;
  } finally {
    await pool.destroy();
  }
}

/** Returns how many calls the crash interrupted. */
async function expectNothingLost(
  db: Database,
  { acknowledged, unanswered }: Pick<Load, 'acknowledged' | 'unanswered'>,
  settled: string[],
): Promise<number> {
  const rows = await db.query<{ request: string; hash: string; status: string; code: string | null }>(
    `SELECT in_reply_to AS request, encode(hash, 'hex') AS hash, status, error_code AS code FROM event WHERE type = 'contract.response'`,
  );
  const responses = new Map(rows.map((r) => [r.request, r]));
  const lost = acknowledged.filter(({ answer }) => responses.get(answer.contract_id)?.hash !== answer.receipt.hash);
  expect(lost).toEqual([]);
  expect(responses.size).toBe(rows.length); // no REQUEST answered twice
  expect(await db.query('SELECT id FROM open_request')).toEqual([]);

  const contracts = acknowledged.length + unanswered.length;
  expect(rows.length).toBeGreaterThanOrEqual(acknowledged.length);
  expect(rows.length).toBeLessThanOrEqual(contracts); // nothing was done that nobody asked for
  expect(settled.filter((id) => !responses.has(id))).toEqual([]);
  const [keys] = await db.query<{ n: number }>('SELECT count(DISTINCT request) AS n FROM idempotency');
  expect(keys!.n).toBe([...acknowledged, ...unanswered].filter((s) => s.key !== undefined).length);
  return rows.filter((r) => r.code === 'interrupted').length;
}

/** Rounds that follow each other on one ledger: who recovers is the next to be killed. Each life ends with a look at all of it. */
const LIFE = 10;
const lives = () =>
  Array.from({ length: Math.ceil(ROUNDS / LIFE) }, (_, i): [number, number] => [i * LIFE + 1, Math.min(ROUNDS, (i + 1) * LIFE)]);

const together = (loads: readonly Load[]): Pick<Load, 'acknowledged' | 'unanswered'> => ({
  acknowledged: loads.flatMap((load) => load.acknowledged),
  unanswered: loads.flatMap((load) => load.unanswered),
});

type Sign = (place: Place) => Promise<boolean> | boolean;

/** What the start that is killed had come to, seen from outside; one sign after the other, and so many milliseconds later at most. */
const SIGNS: Record<Kind, [Sign, number][]> = {
  embedded: [
    [({ settings }) => existsSync(settings.DATA_DIR), 1500],
    [({ settings }) => existsSync(join(settings.DATA_DIR, 'pg')), 300],
  ],
  PostgreSQL: [
    [
      (place) =>
        inspect(place, async (db) => {
          const others = 'SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()';
          return (await db.query(others)).length > 0;
        }),
      300,
    ],
  ],
};

export function crashSuite(kind: Kind): void {
  const make = placeOf(kind);
  jest.setTimeout(300_000);
  afterEach(endAll);
  (make ? describe : describe.skip)(`kill -9 on ${kind}`, () => {
    it.each(lives())('under load loses nothing that was acknowledged, rounds %i to %i', async (first, last) => {
      const place = await make!();
      const past: Load[] = [];
      const settled: string[] = [];
      let own = await spawnOrchestrator(place);
      for (let round = first; round <= last; round++) {
        const began = Date.now();
        const load = startLoad(await own.url, `round ${round}`);
        await load.begun;
        const after = upTo(800);
        await sleep(after);
        await kill(own);
        await load.over;
        expect(load.odd).toEqual([]);
        expect(load.unanswered.length).toBeGreaterThan(0); // else it was not under load

        await thirtySecondsLater(place);
        const again = round % 2 === 0;
        if (again) {
          const recovering = await spawnOrchestrator(place);
          await sleep(upTo(1500));
          await kill(recovering);
          await thirtySecondsLater(place);
        }
        own = await spawnOrchestrator(place); // recovers, and is the next to be killed
        const url = await own.url;
        await nothingOpen(url);
        settled.push(...(await expectSameAnswers(url, load)));
        past.push(load);
        const { acknowledged, unanswered } = load;
        say(
          `crash ${round}/${ROUNDS} on ${kind}: killed ${after} ms after the first answer${again ? ' and once more while recovering' : ''}; ` +
            `${acknowledged.length} acknowledged, ${unanswered.length} not; ${((Date.now() - began) / 1000).toFixed(1)} s`,
        );
      }
      await stop(own);
      const interrupted = await inspect(place, async (db) => {
        const n = await expectNothingLost(db, together(past), settled);
        await expectSound(db);
        return n;
      });
      await place.drop();
      say(`crash ${first} to ${last} on ${kind}: 0 lost, ${interrupted} interrupted`);
    });

    it('during the first start is followed by a start that finds all or nothing of the schema', async () => {
      const place = await emptyPlace(kind === 'PostgreSQL');
      const signs = SIGNS[kind];
      const moments: number[] = [];
      for (let round = 0; round < START_ROUNDS; round++) {
        const [sign, most] = signs[Math.floor((round * signs.length) / START_ROUNDS)]!;
        const victim = await spawnOrchestrator(place);
        await until('it has begun', () => sign(place), 60_000);
        moments.push(upTo(most));
        await sleep(moments.at(-1));
        await kill(victim);
      }
      const survivor = await spawnOrchestrator(place);
      const pool = new Pool(await survivor.url);
      const sent = { body: { session_id: 'after', capability: 'echo', parameters: { text: 'alive' } }, key: undefined };
      expect(await send(pool, sent)).toMatchObject({ status: 200, body: { success: true, receipt: { seq: 2 } } });
      await pool.destroy();
      await stop(survivor);
      await inspect(place, async (db) => {
        await expectSound(db);
        expect((await db.query<{ n: number }>(`SELECT count(*) AS n FROM event WHERE type = 'agent.registered'`))[0]!.n).toBe(2);
      });
      await place.drop();
      say(`crash during the first start on ${kind}: killed ${moments.join(', ')} ms after it began; the next start is whole`);
    });
  });
}
