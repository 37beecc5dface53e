/** Nothing is replayed before its source has been verified. */

import { newestCheckpoint } from '../ledger/checkpoint.postgres.js';
import type { Tx } from '../ledger/database.postgres.js';
import type { Source } from './replay-source.js';
import type { Progress } from './replay-wire.js';
import type { VerifyScope } from './verify.js';
import { verifyLedger } from './verify.postgres.js';
import type { Verdict } from './verify-verdict.js';

/** `false`: not asked for. */
export type Verified = VerifyScope | false;

/** Tells how far it is, then the source; returns it too. Whoever replays stops where it is invalid. */
export async function* verified(tx: Tx, scope: Verified): AsyncGenerator<Progress | { source: Source }, Source> {
  let verdict: Verdict | undefined;
  if (scope) {
    for await (const message of verifyLedger(tx, scope)) {
      if ('verdict' in message) verdict = message;
      else yield { step: 'verifying', ...message };
    }
  }
  const [end] = await tx.query<{ size: number; head: Buffer | null }>(
    'SELECT s.size, (SELECT l.hash FROM leaf l WHERE l.idx = s.size - 1) AS head FROM sequencer s',
  );
  const source: Source = {
    verdict: verdict?.verdict ?? 'not checked',
    first: verdict?.first ? `${verdict.first.check}: ${verdict.first.what}` : null,
    events: verdict?.events ?? 0,
    size: end!.size,
    head: end!.head?.toString('hex') ?? null,
    checkpoint: (await newestCheckpoint(tx))?.note ?? null,
  };
  yield { source };
  return source;
}
