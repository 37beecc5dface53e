/** Listings of a ledger too large to be read for every page. Its rows are made in the database: only their places and columns matter here. */
import type { ContractFilter } from '../../src/contracts/contracts.postgres.js';
import { ListContracts, ListContractsHandler } from '../../src/contracts/contracts.queries.js';
import { Sessions } from '../../src/contracts/sessions.postgres.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { describeEachDatabase } from '../support/databases.js';

const EVENTS = 60_000;
const LOOKED = 50_000;
const time = (n: number) => new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString();

describeEachDatabase('newest first over 60 000 events', (open) => {
  let db: Database;
  const list = (filter: ContractFilter, page: { limit: number; cursor?: string } = { limit: 100 }) =>
    new ListContractsHandler(db, new Sessions(db)).execute(new ListContracts('default', undefined, filter, page));

  beforeAll(async () => {
    db = (await open()).db;
    // Event n is the n-th of the ledger, one each second; number 100 and number 55 000 are of the agent "rare", RESPONSEs both.
    await db.query(
      `INSERT INTO event (event_id, stream, seq, type, time, from_agent, to_agent, capability, status, record, hash)
       SELECT lpad(n::text, 26, '0'), 'default/session/' || lpad((n / 10)::text, 26, '0'), n % 10 + 1, 'contract.response',
              to_char(timestamptz '2026-01-01' + n * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
              CASE WHEN n IN (100, 55000) THEN 'rare' ELSE 'common' END, 'orchestrator', 'work', 'completed', '\\x', sha256('\\x00')
         FROM generate_series(0, ${EVENTS - 1}) n`,
    );
    await db.query(
      `INSERT INTO leaf SELECT row_number() OVER (ORDER BY id) - 1, id, hash, time::timestamptz + interval '1 second', hash FROM event`,
    );
    await db.query(`UPDATE sequencer SET size = ${EVENTS}`);
  });

  it('a page looks at 50 000 of them, then its cursor goes on from there', async () => {
    const first = await list({ from_agent: 'rare' });
    expect(first.contracts.map((c) => c.created_at)).toEqual([time(55_000)]);
    expect(first).toMatchObject({ total: 1, total_exact: false, next_cursor: String(EVENTS - LOOKED) });
    const second = await list({ from_agent: 'rare' }, { limit: 100, cursor: first.next_cursor! });
    expect(second.contracts.map((c) => c.created_at)).toEqual([time(100)]);
    expect(second.next_cursor).toBeNull();
  });

  it('a page that is full goes on after its last item, not further back', async () => {
    const first = await list({ from_agent: 'rare' }, { limit: 1 });
    expect(first.contracts.map((c) => c.created_at)).toEqual([time(55_000)]);
    const common = await list({ from_agent: 'common' }, { limit: 2 });
    expect(common).toMatchObject({ total: 10_000, total_exact: false, next_cursor: String(EVENTS - 2) });
  });

  it('nobody looks further back than `since`, but for an hour that a clock may be wrong', async () => {
    const since = (n: number) => list({ from_agent: 'rare', since: time(n) });
    expect(await since(54_000)).toMatchObject({
      contracts: [{ created_at: time(55_000) }],
      total: 1,
      total_exact: true,
      next_cursor: null,
    });
    expect(await since(55_001)).toMatchObject({ contracts: [], total: 0, total_exact: true, next_cursor: null });
    expect(await since(0)).toMatchObject({ total: 1, total_exact: false, next_cursor: String(EVENTS - LOOKED) });
    // An event whose writer's clock was half an hour ahead of the database's.
    await db.query(`ALTER TABLE event DISABLE TRIGGER event_append_only`);
    await db.query(`UPDATE event SET time = $1 WHERE event_id = $2`, [time(49_999 + 1800), String(49_999).padStart(26, '0')]);
    const { contracts } = await list({ since: time(49_999 + 1800), until: time(49_999 + 1801) });
    expect(contracts.map((c) => c.contract_id)).toContain(String(49_999).padStart(26, '0'));
  });
});
