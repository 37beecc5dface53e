/** Reads a part of the global order for verify. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Tx } from '../ledger/database.postgres.js';
import type { Verification, VerifyProgress } from './verify.js';
import { explainSome } from './verify-erasures.postgres.js';
import { RangeWalk } from './verify-range.js';
import { completed, eventsPlaced, inBounds, orderNow } from './verify-rows.postgres.js';

export async function* verifyRange(
  db: Tx,
  verification: Verification,
  { from, to }: { from: number; to: number },
): AsyncGenerator<VerifyProgress> {
  const { last } = await orderNow(db);
  const end = Math.min(to, Number(last ?? -1)) + 1;
  if (from >= end) throw new OrchestratorError('not_found', `no event has its place at ${from} or after it yet`);
  const walk = new RangeWalk(verification, from);
  for (let rows = await eventsPlaced(db, from - 1, end - 1); rows.length > 0; rows = await eventsPlaced(db, rows.at(-1)!.idx, end - 1)) {
    for (const some of inBounds(rows)) {
      for (const event of await completed(db, some)) walk.event(event);
      await explainSome(db, verification.payload);
      yield { done: verification.report.events, total: end - from };
    }
  }
  walk.end(end);
}
