/** REQUESTs without a RESPONSE, and the processes that answer for them. All times are the database's. */
import type { Tx } from './database.postgres.js';

/** What is past its deadline by more than this is nobody's any more. */
export const GRACE_SECONDS = 5;
const UNSEEN_SECONDS = 30;
const FORGET_SECONDS = 24 * 3600;

export async function renewInstance(tx: Tx, owner: string): Promise<void> {
  await tx.query(
    `INSERT INTO instance (owner, seen_at) VALUES ($1, clock_timestamp()) ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at`,
    [owner],
  );
}

/** A process that ended in good order answers for nothing; what it left open is closed at the next look. */
export async function removeInstance(tx: Tx, owner: string): Promise<void> {
  await tx.query('DELETE FROM instance WHERE owner = $1', [owner]);
}

/** Processes seen lately. */
export async function instancesAlive(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ n: number }>(
    `SELECT count(*) AS n FROM instance WHERE seen_at > clock_timestamp() - make_interval(secs => ${UNSEEN_SECONDS})`,
  );
  return row!.n;
}

export async function forgetInstances(tx: Tx): Promise<void> {
  await tx.query(`DELETE FROM instance WHERE seen_at < clock_timestamp() - make_interval(secs => ${FORGET_SECONDS})`);
}

export interface OpenRequest {
  readonly id: string;
  readonly stream: string;
  readonly owner: string;
}

/** Past their deadline plus grace, or of an owner that is gone or unseen. `onlyOwner`: everybody else is gone (embedded). */
export async function abandoned(tx: Tx, onlyOwner: string | null, limit = 200): Promise<OpenRequest[]> {
  return tx.query(
    `SELECT o.id, o.stream, o.owner FROM open_request o LEFT JOIN instance i ON i.owner = o.owner
      WHERE o.deadline < clock_timestamp() - make_interval(secs => ${GRACE_SECONDS})
         OR i.owner IS NULL OR i.seen_at < clock_timestamp() - make_interval(secs => ${UNSEEN_SECONDS}) OR o.owner <> $1
      ORDER BY o.deadline LIMIT $2`,
    [onlyOwner, limit],
  );
}

export async function openInStream(tx: Tx, stream: string): Promise<OpenRequest[]> {
  return tx.query('SELECT id, stream, owner FROM open_request WHERE stream = $1 ORDER BY id', [stream]);
}

export async function countOpen(tx: Tx): Promise<number> {
  const [row] = await tx.query<{ n: number }>('SELECT count(*) AS n FROM open_request');
  return row!.n;
}
