/**
 * The append statement, the loading of stream heads it is decided on, and the look-up that settles a batch whose outcome was lost.
 * The statement runs alone, in autocommit, under READ COMMITTED: everything in it is written or nothing.
 */
import type { Lane } from './batch.js';
import { parameters } from './batch.js';
import type { Database, Tx } from './database.postgres.js';
import { insertPayload } from './payload.postgres.js';
import { emptyStream, type Seal, type StreamState } from './stream.js';

/** What a batch has besides events; a part without rows still costs its start in the executor, so it is left out. */
interface Parts {
  readonly keys: boolean;
  readonly names: boolean;
}

// Three sets of rows may be waited for, always in this order and each sorted in "C": names of sessions, stream heads, idempotency keys.
// So two batches never wait for each other in a circle. The result has one row per stream: won, or why not; all false: the race is lost.
const appendSql = ({ keys, names }: Parts) => `
WITH
want AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[]) AS w(stream, base, seq, head)
),
new_event AS MATERIALIZED (
  SELECT * FROM unnest($5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
                       $14::text[], $15::text[], $16::text[], $17::text[], $18::bytea[], $19::bytea[])
    WITH ORDINALITY AS e(stream, seq, event_id, type, time, task, cause, in_reply_to, from_agent, to_agent, capability, status, error_code, record, hash, ord)
),
-- Already answered in this snapshot. One answered after the snapshot has moved the head, and the claim below loses instead.
answered AS (
  SELECT DISTINCT n.stream FROM new_event n JOIN event e ON e.in_reply_to = n.in_reply_to AND e.type = 'contract.response'
   WHERE n.type = 'contract.response'
),${keys ? KEYED : ''}${names ? named(keys) : ''}
-- Compare-and-swap. ON CONFLICT looks at the newest committed row, not at the snapshot; the EXISTS refuses to create a stream that the
-- appender thought existed.
won AS (
  INSERT INTO stream_head AS h (stream, seq, head, base)
  SELECT w.stream, w.seq, w.head, w.base FROM want w
   WHERE w.stream NOT IN (SELECT stream FROM answered)
     ${keys ? 'AND w.stream NOT IN (SELECT stream FROM keyed)' : ''}
     ${names ? 'AND (w.stream NOT IN (SELECT stream FROM name) OR w.stream IN (SELECT stream FROM named))' : ''}
     AND (w.base = '' OR EXISTS (SELECT 1 FROM stream_head s WHERE s.stream = w.stream))
   ORDER BY w.stream COLLATE "C"
  ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, head = excluded.head, base = excluded.base WHERE h.head = excluded.base
  RETURNING h.stream
),
-- ORDER BY: identity values are given after the sort, so id order is seq order inside a stream; the sequencer relies on it.
ins AS (
  INSERT INTO event (event_id, stream, seq, type, time, task, cause, in_reply_to, from_agent, to_agent, capability, status, error_code, record, hash)
  SELECT n.event_id, n.stream, n.seq, n.type, n.time, n.task, n.cause, n.in_reply_to, n.from_agent, n.to_agent, n.capability, n.status, n.error_code,
         n.record, n.hash
    FROM new_event n JOIN won USING (stream) ORDER BY n.ord
  RETURNING id, event_id, stream, type, in_reply_to
),${insertPayload(20, 21, 22)},
pend AS (INSERT INTO pending (id) SELECT id FROM ins),
opened AS (
  INSERT INTO open_request (id, stream, owner, deadline)
  SELECT o.id, o.stream, o.owner, clock_timestamp() + make_interval(secs => o.secs)
    FROM unnest($23::text[], $24::text[], $25::text[], $26::float8[]) AS o(id, stream, owner, secs) JOIN won USING (stream)
),${keys ? CLAIM_KEYS : ''}
closed AS (DELETE FROM open_request o USING ins WHERE ins.type = 'contract.response' AND o.id = ins.in_reply_to)
SELECT w.stream, (won.stream IS NOT NULL) AS won, (a.stream IS NOT NULL) AS answered,
       ${keys ? '(k.stream IS NOT NULL)' : 'false'} AS keyed, ${names ? '(n.stream IS NOT NULL AND m.stream IS NULL)' : 'false'} AS renamed
  FROM want w LEFT JOIN won USING (stream) LEFT JOIN answered a USING (stream)
       ${keys ? 'LEFT JOIN keyed k USING (stream)' : ''} ${names ? 'LEFT JOIN name n USING (stream) LEFT JOIN named m USING (stream)' : ''}`;

const KEYED = `
claim AS MATERIALIZED (
  SELECT * FROM unnest($27::text[], $28::text[], $29::bytea[], $30::text[], $31::bytea[], $32::bytea[]) AS k(stream, scope, key, request, salt, body)
),
keyed AS (SELECT DISTINCT k.stream FROM claim k JOIN idempotency i ON i.scope = k.scope AND i.key = k.key),`;

const CLAIM_KEYS = `
keys AS (
  INSERT INTO idempotency (scope, key, request, salt, body)
  SELECT k.scope, k.key, k.request, k.salt, k.body FROM claim k JOIN won USING (stream) ORDER BY k.scope COLLATE "C", k.key
),`;

// A name is free, or still belongs to the stream that idleness closed.
const named = (keys: boolean) => {
  const p = keys ? 33 : 27;
  return `
name AS MATERIALIZED (
  SELECT * FROM unnest($${p}::text[], $${p + 1}::text[], $${p + 2}::text[], $${p + 3}::text[]) AS n(tenant, name, stream, previous)
),
named AS (
  INSERT INTO session AS s (tenant, name, stream, earlier)
  SELECT n.tenant, n.name, n.stream, CASE n.previous WHEN '' THEN '{}'::text[] ELSE ARRAY[n.previous] END FROM name n
   ${keys ? 'WHERE n.stream NOT IN (SELECT stream FROM keyed)' : ''}
   ORDER BY n.tenant COLLATE "C", n.name COLLATE "C"
  ON CONFLICT (tenant, name) DO UPDATE SET stream = excluded.stream, earlier = s.earlier || s.stream WHERE s.stream = excluded.earlier[1]
  RETURNING s.stream
),`;
};

const statement = (parts: Parts) => ({ name: `append${parts.keys ? '_keys' : ''}${parts.names ? '_names' : ''}`, text: appendSql(parts) });
const PLAIN = [statement({ keys: false, names: false }), statement({ keys: false, names: true })] as const;
const WITH_KEYS = [statement({ keys: true, names: false }), statement({ keys: true, names: true })] as const;

function statementFor(lanes: readonly Lane[]): { name: string; text: string; values: unknown[] } {
  const { events, keys, names } = parameters(lanes);
  const parts = { keys: keys[0]!.length > 0, names: names[0]!.length > 0 };
  const values = [...events, ...(parts.keys ? keys : []), ...(parts.names ? names : [])];
  return { ...(parts.keys ? WITH_KEYS : PLAIN)[parts.names ? 1 : 0], values };
}

export type Verdict = 'won' | 'lost' | 'answered' | 'keyed' | 'renamed';

const ANSWER_MS = 15_000;

/** One statement for all lanes. Rejects with the database's error: nothing was written, or nothing is known (outcomeOf). */
export async function appendLanes(db: Database, lanes: readonly Lane[]): Promise<Map<string, Verdict>> {
  return verdicts(await db.namedWithin<VerdictRow>(ANSWER_MS, statementFor(lanes)));
}

/** The same while `claimTurn` holds the stream. */
export async function appendInTurn(tx: Tx, lane: Lane): Promise<Verdict> {
  const { name, text, values } = statementFor([lane]);
  return verdicts(await tx.named<VerdictRow>(name, text, values)).get(lane.stream)!;
}

type VerdictRow = { stream: string } & Record<Exclude<Verdict, 'lost'>, boolean>;

function verdicts(rows: VerdictRow[]): Map<string, Verdict> {
  const of = (row: VerdictRow): Verdict =>
    row.won ? 'won' : row.keyed ? 'keyed' : row.answered ? 'answered' : row.renamed ? 'renamed' : 'lost';
  return new Map(rows.map((row) => [row.stream, of(row)]));
}

/** Queues for the stream's row. Must be a statement of its own: what is read after it sees what the last holder committed. */
export async function claimTurn(tx: Tx, stream: string): Promise<void> {
  await tx.named('claim_turn', 'SELECT 1 FROM stream_head WHERE stream = $1 FOR UPDATE', [stream]);
}

/** States of the named streams as committed now; a stream that does not exist yet is empty. */
export async function loadStates(tx: Tx, streams: readonly string[]): Promise<Map<string, StreamState>> {
  const states = new Map<string, StreamState>(streams.map((stream) => [stream, emptyStream()]));
  const rows = await tx.named<{ stream: string; seq: number; head: Buffer; open: string[]; seal: string | null; record: Buffer | null }>(
    'load_states',
    `SELECT h.stream, h.seq, h.head, ARRAY(SELECT o.id FROM open_request o WHERE o.stream = h.stream) AS open, e.event_id AS seal, e.record
       FROM stream_head h LEFT JOIN event e ON e.stream = h.stream AND e.type = 'session.closed'
      WHERE h.stream = ANY($1::text[])`,
    [streams],
  );
  for (const row of rows) {
    const seal: Seal | null = row.seal === null ? null : { event: row.seal, reason: reasonOf(row.record!) };
    states.set(row.stream, { seq: row.seq, head: row.head, open: new Set(row.open), seal });
  }
  return states;
}

const reasonOf = (record: Buffer): Seal['reason'] => (JSON.parse(record.toString('utf8')) as { reason: Seal['reason'] }).reason;

/** Which of these events are in the ledger, and where. */
export async function lookUp(db: Tx, ids: readonly string[]): Promise<Map<string, { seq: number; hash: Buffer }>> {
  const rows = await db.named<{ event_id: string; seq: number; hash: Buffer }>(
    'look_up_events',
    'SELECT event_id, seq, hash FROM event WHERE event_id = ANY($1::text[])',
    [ids],
  );
  return new Map(rows.map(({ event_id, seq, hash }) => [event_id, { seq, hash }]));
}

/** The uses of idempotency keys that stand in the way of a batch. */
export async function usedKeys(
  db: Tx,
  claims: readonly { scope: string; key: Buffer }[],
): Promise<{ scope: string; key: Buffer; request: string; salt: Buffer; body: Buffer }[]> {
  return db.named(
    'used_keys',
    `SELECT i.scope, i.key, i.request, i.salt, i.body FROM idempotency i JOIN unnest($1::text[], $2::bytea[]) AS k(scope, key) USING (scope, key)`,
    [claims.map((c) => c.scope), claims.map((c) => c.key)],
  );
}
