/** The addresses that are looked at again and again, shared by all replicas. */
import type { Tx } from '../ledger/database.postgres.js';

export interface SourceRow {
  readonly url: string;
  readonly protocol: string | null;
  readonly etag: string | null;
}

/** Takes the turn to look at those that are due, for an interval give or take a fifth: of any number of replicas one gets it. In order, so that nobody waits in a circle. */
export async function takeSources(tx: Tx, urls: readonly string[], seconds: number): Promise<SourceRow[]> {
  if (urls.length === 0) return [];
  return tx.named(
    'take_sources',
    `INSERT INTO agent_source AS s (url, due_at)
     SELECT u, clock_timestamp() + make_interval(secs => $2::float8 * (0.8 + 0.4 * random())) FROM unnest($1::text[]) AS u ORDER BY u COLLATE "C"
     ON CONFLICT (url) DO UPDATE SET due_at = excluded.due_at WHERE s.due_at <= clock_timestamp() RETURNING url, protocol, etag`,
    [urls, seconds],
  );
}

/** Those that are due: a look that costs no writing. */
export async function dueSources(tx: Tx, urls: readonly string[]): Promise<string[]> {
  if (urls.length === 0) return [];
  const rows = await tx.named<{ url: string }>(
    'due_sources',
    `SELECT u AS url FROM unnest($1::text[]) AS u
      WHERE NOT EXISTS (SELECT 1 FROM agent_source s WHERE s.url = u COLLATE "C" AND s.due_at > clock_timestamp())`,
    [urls],
  );
  return rows.map((row) => row.url);
}

/** After a look. Without `error` it went well. */
export async function noteLook(tx: Tx, url: string, look: { error: string } | { protocol: string; etag: string | null }): Promise<void> {
  const error = 'error' in look ? look.error.slice(0, 1000) : null;
  await tx.named(
    'note_look',
    `INSERT INTO agent_source (url, checked_at, error, protocol, etag) VALUES ($1, clock_timestamp(), $2, $3, $4)
     ON CONFLICT (url) DO UPDATE SET checked_at = excluded.checked_at, error = excluded.error,
       protocol = CASE WHEN excluded.error IS NULL THEN excluded.protocol ELSE agent_source.protocol END,
       etag = CASE WHEN excluded.error IS NULL THEN excluded.etag ELSE agent_source.etag END`,
    [url, error, 'error' in look ? null : look.protocol, 'error' in look ? null : look.etag],
  );
}
