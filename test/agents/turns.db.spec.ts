/** Whose turn it is to be looked at, and when again. */

import { takeSources } from '../../src/agents/sources.postgres.js';
import { noteFound, takeProbes } from '../../src/agents/watch.postgres.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';

const INTERVAL = 1000;
const MANY = Array.from({ length: 200 }, (_, i) => `http://10.0.0.1/${i}`).sort();

type Take = (db: Database, of: readonly string[]) => Promise<string[]>;
const TURNS: [what: string, table: string, take: Take][] = [
  ['an address', 'agent_source', async (db, urls) => (await takeSources(db, urls, INTERVAL)).map(({ url }) => url)],
  ['a probe', 'agent_watch', (db, agents) => takeProbes(db, agents, INTERVAL)],
];

describeEachDatabase('a turn', (open) => {
  let place: TestDatabase;
  beforeAll(async () => {
    place = await open();
  });

  it.each(TURNS)(
    'of %s is had once in each interval, give or take a fifth, so that those that came together part',
    async (_what, table, take) => {
      const { db } = place;
      expect((await take(db, MANY)).sort()).toEqual(MANY);
      expect(await take(db, MANY)).toEqual([]);
      const rows = await db.query<{ seconds: number }>(
        `SELECT extract(epoch FROM due_at - clock_timestamp())::float8 AS seconds FROM ${table}`,
      );
      const seconds = rows.map((row) => row.seconds).sort((a, b) => a - b);
      expect(seconds[0]).toBeGreaterThan(0.8 * INTERVAL - 60); // what has passed since
      expect(seconds.at(-1)).toBeLessThanOrEqual(1.2 * INTERVAL);
      expect(seconds.at(-1)! - seconds[0]!).toBeGreaterThan(0.2 * INTERVAL); // by chance alone once in 10^57 runs
      await db.query(`UPDATE ${table} SET due_at = clock_timestamp()`);
      expect((await take(db, MANY)).sort()).toEqual(MANY);
    },
  );

  it('in which discovery misses an agent is counted until it finds it, and then nothing is written', async () => {
    const { db } = place;
    const note = (found: boolean) =>
      noteFound(
        db,
        ['b', 'a'].map((agent) => ({ agent, found: found || agent === 'b' })),
      );
    const known = async () =>
      await db.query<{ agent: string; misses: number; row: string }>(
        `SELECT agent, misses, xmin::text AS row FROM agent_watch WHERE agent IN ('a', 'b') ORDER BY agent`,
      );
    for (let i = 0; i < 3; i++) await note(false);
    expect((await known()).map(({ misses }) => misses)).toEqual([3, 0]);
    await note(true);
    const found = await known();
    expect(found.map(({ misses }) => misses)).toEqual([0, 0]);
    await note(true);
    expect(await known()).toEqual(found);
  });
});
