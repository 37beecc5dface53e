import type { Database } from '../../src/ledger/database.postgres.js';
import { newDraft } from '../../src/ledger/draft.system.js';

/** An append as a slow replica makes it: its row ids are taken now, its commit (or rollback) comes later. */
export async function slowAppend(db: Database, milliseconds: number, commit: boolean): Promise<void> {
  const work = db.transaction(async (tx) => {
    const draft = newDraft('agent.health', {});
    const record = Buffer.from(
      JSON.stringify({
        v: 1,
        id: draft.id,
        stream: `default/agent/${draft.id.toLowerCase()}`,
        seq: 1,
        prev: null,
        type: draft.type,
        time: draft.time,
      }),
    );
    await tx.query(
      `WITH h AS (SELECT sha256('\\x00'::bytea || $5) AS hash),
            s AS (INSERT INTO stream_head (stream, seq, head, base) SELECT $1, 1, hash, '' FROM h),
            e AS (INSERT INTO event (event_id, stream, seq, type, time, record, hash) SELECT $2, $1, 1, $3, $4, $5, hash FROM h RETURNING id)
       INSERT INTO pending SELECT id FROM e`,
      [`default/agent/${draft.id.toLowerCase()}`, draft.id, draft.type, draft.time, record],
    );
    await new Promise((done) => setTimeout(done, milliseconds));
    if (!commit) throw new Error('rolled back on purpose');
  });
  await work.catch((error: Error) => {
    if (commit || !/on purpose/.test(error.message)) throw error;
  });
}
