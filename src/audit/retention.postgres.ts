/** What is older than it may become. Times are the record's text, on the writers' clocks: for days that is close enough. */
import type { Tx } from '../ledger/database.postgres.js';
import { payloadSize } from '../ledger/payload.postgres.js';

export interface AgedSession {
  readonly tenant: string;
  readonly name: string;
  readonly streams: string[];
  /** Nothing has happened in it for so long, and nothing runs in it; otherwise only its beginning is old. */
  readonly over: boolean;
}

const PAGE = 100;
const CONTRACTS = 500;

const BEFORE = (days: string) => `to_char(clock_timestamp() - make_interval(days => ${days}), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** In the order of their names; those that began so long ago. */
export async function agedSessions(tx: Tx, days: number, after: Pick<AgedSession, 'tenant' | 'name'> | null): Promise<AgedSession[]> {
  return tx.query(
    `SELECT s.tenant, s.name, s.earlier || s.stream AS streams,
            last.time < ${BEFORE('$1')} AND NOT EXISTS (SELECT 1 FROM open_request o WHERE o.stream = s.stream) AS over
       FROM session s JOIN stream_head h ON h.stream = s.stream JOIN event last ON last.stream = h.stream AND last.seq = h.seq
            JOIN event first ON first.stream = coalesce(s.earlier[1], s.stream) AND first.seq = 1
      WHERE (s.tenant, s.name) > ($2, $3) AND first.time < ${BEFORE('$1')}
      ORDER BY s.tenant, s.name LIMIT ${PAGE}`,
    [days, after?.tenant ?? '', after?.name ?? ''],
  );
}

/** Ids of its contracts that ended so long ago and still have payload, the oldest of them. */
export async function agedContracts(tx: Tx, { streams }: AgedSession, days: number): Promise<string[]> {
  const rows = await tx.query<{ contract: string }>(
    `SELECT e.in_reply_to AS contract FROM event e
      WHERE e.stream = ANY($1::text[]) AND e.type = 'contract.response' AND e.time < ${BEFORE('$2')} AND ${payloadSize('e.id')} > 0
      ORDER BY e.id LIMIT ${CONTRACTS}`,
    [streams, days],
  );
  return rows.map((row) => row.contract);
}
