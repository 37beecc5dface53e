/** Who keeps which checkpoint outside. */
import type { Tx } from './database.postgres.js';

export interface AnchorRow {
  readonly name: string;
  readonly origin: string | null;
  readonly size: number | null;
  readonly at: Date | null;
  readonly tries: number;
  readonly error: string | null;
}

export async function anchors(tx: Tx): Promise<AnchorRow[]> {
  return tx.query('SELECT name, origin, size, at, tries, error FROM anchor ORDER BY name');
}

/** Takes the turn to send to it: of any number of replicas one gets it. `seconds` is longer than sending takes. */
export async function takeAnchor(tx: Tx, name: string, seconds: number): Promise<AnchorRow | null> {
  const rows = await tx.named<AnchorRow>(
    'take_anchor',
    `INSERT INTO anchor AS a (name, due_at) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
     ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at WHERE a.due_at <= clock_timestamp()
     RETURNING name, origin, size, at, tries, error`,
    [name, seconds],
  );
  return rows[0] ?? null;
}

/** It has this checkpoint, and wants the next one in so many seconds. */
export async function noteAnchored(
  tx: Tx,
  name: string,
  { origin, size, seconds }: { origin: string; size: number; seconds: number },
): Promise<void> {
  await tx.named(
    'note_anchored',
    `UPDATE anchor SET origin = $2, size = $3, at = clock_timestamp(), tries = 0, error = NULL, due_at = clock_timestamp() + make_interval(secs => $4)
      WHERE name = $1`,
    [name, origin, size, seconds],
  );
}

/** Nothing was sent. */
export async function postponeAnchor(tx: Tx, name: string, seconds: number): Promise<void> {
  await tx.named('postpone_anchor', `UPDATE anchor SET due_at = clock_timestamp() + make_interval(secs => $2) WHERE name = $1`, [
    name,
    seconds,
  ]);
}

export async function noteAnchorFailed(tx: Tx, name: string, { error, seconds }: { error: string; seconds: number }): Promise<void> {
  await tx.named(
    'note_anchor_failed',
    `UPDATE anchor SET tries = tries + 1, error = $2, due_at = clock_timestamp() + make_interval(secs => $3) WHERE name = $1`,
    [name, error.slice(0, 1000), seconds],
  );
}

/** Adds what of these signature lines the checkpoint does not have yet. */
export async function cosign(tx: Tx, { origin, size }: { origin: string; size: number }, lines: string): Promise<void> {
  await tx.named(
    'cosign_checkpoint',
    `UPDATE checkpoint SET cosignatures = cosignatures || $3 WHERE origin = $1 AND size = $2 AND position($3 IN cosignatures) = 0`,
    [origin, size, lines],
  );
}
