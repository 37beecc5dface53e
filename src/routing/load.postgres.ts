import type { Tx } from '../ledger/database.postgres.js';

/** Two renewals of its row: who is silent for longer has nothing under way that still counts. */
const HEARD_SECONDS = 10;

export type Load = Readonly<Record<string, number>>;

/** Tells what this process has under way, by agent, and returns what the others have told; one for each of them. */
export async function exchangeLoad(tx: Tx, owner: string, mine: Load): Promise<Load[]> {
  const rows = await tx.named<{ load: Load }>(
    'exchange_load',
    `WITH told AS (UPDATE instance SET load = $2::jsonb WHERE owner = $1 AND load IS DISTINCT FROM $2::jsonb)
     SELECT load FROM instance WHERE owner <> $1 AND seen_at > clock_timestamp() - make_interval(secs => ${HEARD_SECONDS})`,
    [owner, JSON.stringify(mine)],
  );
  return rows.map(({ load }) => load);
}
