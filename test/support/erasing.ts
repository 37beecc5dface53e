/** What tests about erasing look at: whether a text is anywhere in the database, and what verify says. */
import { verifyLedger } from '../../src/audit/verify.postgres.js';
import type { Verdict } from '../../src/audit/verify-verdict.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { disclosedValues, payloadsOf } from '../../src/ledger/payload.postgres.js';
import type { Running } from './orchestrator.js';

export const WHY = { basis: 'GDPR Art. 17', requested_by: 'ticket 4711' };

/** Tables, and disclosures once they are opened, in which a text stands. */
export async function tracesOf(db: Database, text: string): Promise<string[]> {
  const tables = await db.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await db.query<{ n: number }>(
      `SELECT count(*) AS n FROM ${name} t WHERE to_jsonb(t)::text LIKE '%' || $1 || '%' OR to_jsonb(t)::text LIKE '%' || encode(convert_to($1, 'UTF8'), 'hex') || '%'`,
      [text],
    );
    if (row!.n > 0) found.push(name);
  }
  const events = await db.query<{ id: number }>('SELECT id FROM event ORDER BY id');
  const payloads = await payloadsOf(
    db,
    events.map(({ id }) => id),
  );
  for (const rows of payloads.values()) {
    for (const [name, value] of Object.entries(disclosedValues(rows)))
      if (JSON.stringify(value).includes(text)) found.push(`payload ${name}`);
  }
  return found;
}

export async function verdictOf(db: Database): Promise<Verdict> {
  let verdict: Verdict | undefined;
  for await (const message of verifyLedger(db)) if ('verdict' in message) verdict = message;
  return verdict!;
}

/** The body of an erasure that must be answered 200. */
export async function erase(ao: Running, session: string, body: object = {}, query = '') {
  const { status, body: answer } = await ao.post(`/v1/sessions/${encodeURIComponent(session)}/erase${query}`, { ...WHY, ...body });
  expect([status, answer]).toEqual([200, expect.anything()]);
  return answer as {
    whole: boolean;
    erasures: string[];
    events: number;
    memory_blocks: string[];
    keys_destroyed: string[];
    told: string[];
    out_of_reach: string[];
  };
}

/** Every statement of this kind on the table fails until the returned function is called: as if the process had died just before it. */
export async function failing(db: Database, kind: 'INSERT' | 'UPDATE' | 'DELETE', table: string): Promise<() => Promise<void>> {
  await db.query(
    `CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the process died before % of %', TG_OP, TG_TABLE_NAME; END $$;
     CREATE TRIGGER fault BEFORE ${kind} ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION fault()`,
  );
  return async () => {
    await db.query(`DROP TRIGGER fault ON ${table}; DROP FUNCTION fault()`);
  };
}
