/** Who wants which task ended, told to all replicas. */
import type { Tx } from '../ledger/database.postgres.js';

/** Longer than any task may take. */
const KEPT_HOURS = 1;

export async function askToCancel(tx: Tx, task: string): Promise<void> {
  await tx.query(`DELETE FROM task_cancel WHERE at < clock_timestamp() - make_interval(hours => ${KEPT_HOURS})`);
  await tx.query('INSERT INTO task_cancel (task) VALUES ($1) ON CONFLICT DO NOTHING', [task]);
}

/** Those of them that somebody wants ended. */
export async function cancelledOf(tx: Tx, tasks: readonly string[]): Promise<string[]> {
  const rows = await tx.named<{ task: string }>('cancelled_tasks', 'SELECT task FROM task_cancel WHERE task = ANY($1::text[])', [tasks]);
  return rows.map(({ task }) => task);
}
