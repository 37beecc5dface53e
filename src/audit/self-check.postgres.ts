/** The row all replicas share about the ledger's self-check: who is at it, and what the last one found. */
import type { Tx } from '../ledger/database.postgres.js';
import type { KeptVerdict, SelfCheckRow } from './self-check.js';

const iso = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS ${column}`;

export async function selfCheck(tx: Tx): Promise<SelfCheckRow> {
  const text = `SELECT ${iso('started_at')}, ${iso('finished_at')}, verdict, error FROM self_check`;
  return (await tx.named<SelfCheckRow>('self_check', text, []))[0]!;
}

/** True: it is due, and this process makes it. */
export async function claimSelfCheck(tx: Tx, leaseSeconds: number): Promise<boolean> {
  const claimed = await tx.query(
    `UPDATE self_check SET due_at = clock_timestamp() + make_interval(secs => $1), started_at = clock_timestamp() WHERE due_at <= clock_timestamp() RETURNING 1`,
    [leaseSeconds],
  );
  return claimed.length > 0;
}

/** Still at it. */
export async function renewSelfCheck(tx: Tx, leaseSeconds: number): Promise<void> {
  await tx.query('UPDATE self_check SET due_at = clock_timestamp() + make_interval(secs => $1)', [leaseSeconds]);
}

export async function endSelfCheck(tx: Tx, nextSeconds: number, end: { verdict: KeptVerdict } | { error: string }): Promise<void> {
  await tx.query(
    `UPDATE self_check SET due_at = clock_timestamp() + make_interval(secs => $1), finished_at = clock_timestamp(),
            verdict = coalesce($2::jsonb, verdict), error = $3`,
    [nextSeconds, 'verdict' in end ? JSON.stringify(end.verdict) : null, 'error' in end ? end.error : null],
  );
}
