/** What the demo shows to be found: an entry rewritten by somebody who may do everything in the database. For copies of ledgers only. */
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { openEmbedded } from '../ledger/embedded.system.js';

/** Not clumsily: the searchable column and the hash are made to fit. */
export const FORGERY = [
  'ALTER TABLE event DISABLE TRIGGER event_append_only;',
  `UPDATE event SET status = 'completed', record = forged, hash = sha256('\\x00'::bytea || forged)
  FROM (SELECT id AS victim, convert_to(replace(convert_from(record, 'UTF8'), '"failed"', '"completed"'), 'UTF8') AS forged
          FROM event WHERE status = 'failed') failed
 WHERE id = victim RETURNING event_id;`,
] as const;

/** The ids of the events that were rewritten. */
export async function forge(dataDir: string): Promise<string[]> {
  const embedded = await openEmbedded(dataDir);
  try {
    const db = await Database.connect({ socket: embedded, poolSize: 1 });
    try {
      await db.query(FORGERY[0]);
      const rows = await db.query<{ event_id: string }>(FORGERY[1]);
      if (rows.length === 0) throw new OrchestratorError('internal', `nothing in ${dataDir} could be forged`);
      return rows.map((row) => row.event_id);
    } finally {
      await db.close();
    }
  } finally {
    await embedded.close();
  }
}
