/** Writes a session down as a history (replay-history.ts). */
import type { Database } from '../ledger/database.postgres.js';
import { payloadsOf } from '../ledger/payload.postgres.js';
import { readable, reasonsGone, shortOf } from './replay-gone.postgres.js';
import { type HistoryLine, MISSING, type Recorded } from './replay-history.js';
import { SessionFold } from './replay-session.js';
import { eventsOf, stretchesOf } from './replay-session.postgres.js';
import { isBroken } from './replay-source.js';
import { verified } from './replay-source.postgres.js';
import type { ReplayMessage } from './replay-wire.js';

/** Events whose payload is held at once. */
const PAGE = 20;

export async function* replayRecord(
  db: Database,
  { tenant, session }: { tenant: string; session: string },
): AsyncGenerator<ReplayMessage<HistoryLine, Recorded>> {
  const stretches = await stretchesOf(db, { tenant, session });
  const source = yield* verified(db, { session: { tenant, name: session } });
  if (isBroken(source)) return;
  const total = stretches.reduce((sum, { to }) => sum + to, 0);
  let [events, unexplained] = [0, 0];
  const folds = stretches.map(({ stream }) => new SessionFold(stream));
  for (const [i, stretch] of stretches.entries()) {
    for (let seq = 0; seq < stretch.to; ) {
      const rows = await eventsOf(db, stretch, seq, PAGE);
      const payloads = await payloadsOf(
        db,
        rows.map((row) => row.id),
      );
      const gone = await reasonsGone(db, shortOf(rows, payloads));
      for (const row of rows) {
        const [record, hash] = [row.record.toString('utf8'), row.hash.toString('hex')];
        folds[i]!.add({ ...row, hash, record: JSON.parse(record) });
        const disclosures = readable(payloads.get(row.id)).map(({ bytes }) => bytes.toString('utf8'));
        const reason = gone.get(row.event_id);
        if (reason === null) unexplained += 1;
        yield { item: { record, hash, disclosures, ...(gone.has(row.event_id) && { gone: reason ?? MISSING }) } };
      }
      events += rows.length;
      yield { step: 'replaying', done: events, total };
      seq = rows.at(-1)!.seq;
    }
  }
  yield { result: { states: folds.map((fold) => fold.state()), events, unexplained } };
}
