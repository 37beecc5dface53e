/**
 * The append statement, the loading of stream heads it is decided on, and the look-up that settles a batch whose outcome was lost.
 * The statement runs alone, in autocommit, under READ COMMITTED: everything in it is written or nothing.
 */

import { type Lane, type Rows, rowsOf } from './batch.js';
import { binaryRows, type ElementType } from './binary-array.js';
import type { Database, Tx } from './database.postgres.js';
import { insertKeys } from './keys.postgres.js';
import type { WrappedKey } from './keys.system.js';
import { insertPayload } from './payload.postgres.js';
import { emptyStream, type Seal, type StreamState } from './stream.js';

/** The rows of a batch, each kind one parameter of a type made by migrations/0013. */
const TYPES = {
  heads: ['append_head', ['text', 'bytea', 'bigint', 'bytea']],
  events: ['append_event', ['text', 'bigint', ...Array<'text'>(11).fill('text'), 'bytea', 'bytea']],
  payloads: ['append_payload', ['text', 'text', 'bytea', 'text']],
  opens: ['append_open', ['text', 'text', 'text', 'float8']],
  uses: ['append_use', ['text', 'text', 'bytea', 'text', 'bytea', 'bytea']],
  names: ['append_name', ['text', 'text', 'text', 'text']],
  keys: ['append_key', ['text', 'text', 'text', 'bytea']],
} as const satisfies Record<keyof Rows, readonly [name: string, columns: readonly ElementType[]]>;

const EVENT =
  'stream, seq, event_id, type, time, task, cause, in_reply_to, from_agent, to_agent, capability, status, error_code, record, hash';

/** Parts of the statement that a batch may not need. Without rows they still cost their start in the executor, half of what one event costs. */
const OPTIONAL = ['opens', 'answers', 'uses', 'names', 'keys'] as const;
type Parts = Record<(typeof OPTIONAL)[number], boolean>;

/**
 * Three sets of rows may be waited for, always in this order and each sorted in "C": names of sessions, stream heads, idempotency keys. So two
 * batches never wait for each other in a circle. The result says of each stream what became of it; a stream it does not name lost the race.
 */
function appendSql({ opens, answers, uses, names, keys }: Parts): string {
  let last = 0;
  const rows = (kind: keyof Rows) => `unnest($${++last}::${TYPES[kind][0]}[])`;
  const heads = `${rows('heads')} AS w`;
  const events = `${rows('events')} WITH ORDINALITY AS n(${EVENT}, ord)`;
  const payload = insertPayload(`${rows('payloads')} AS p`);
  const open = opens && `${rows('opens')} AS o`;
  const use = uses && `${rows('uses')} AS k`;
  const name = names && `${rows('names')} AS n`;
  const freshKeys = keys && insertKeys(`${rows('keys')} AS f`);

  const parts = [
    answers && `new_event AS MATERIALIZED (SELECT * FROM ${events})`,
    // Already answered in this snapshot. One answered after the snapshot has moved the head, and the claim below loses instead.
    answers &&
      `answered AS (
        SELECT DISTINCT n.stream FROM new_event n
         WHERE n.type = 'contract.response'
           AND (SELECT true FROM event e WHERE e.in_reply_to = n.in_reply_to AND e.type = 'contract.response'))`,
    use && `claim AS MATERIALIZED (SELECT * FROM ${use})`,
    uses &&
      'keyed AS (SELECT DISTINCT k.stream FROM claim k WHERE (SELECT true FROM idempotency i WHERE i.scope = k.scope AND i.key = k.key))',
    name && `name AS MATERIALIZED (SELECT * FROM ${name} ORDER BY tenant COLLATE "C", name COLLATE "C")`,
    // A name is free, or still belongs to the stream that idleness closed. Without the look at that one's row, whose lock waits for an erasure under
    // way, a name that was erased would be free for what goes on, and come back with the erased stream behind it. Row by row in the order of `name`:
    // it is locked and written before the next is looked at.
    names &&
      `named AS (
        INSERT INTO session AS s (tenant, name, stream, earlier)
        SELECT n.tenant, n.name, n.stream, CASE n.previous WHEN '' THEN '{}'::text[] ELSE ARRAY[n.previous] END FROM name n
         WHERE (n.previous = '' OR (SELECT true FROM session x WHERE x.tenant = n.tenant AND x.name = n.name FOR UPDATE))
         ${uses ? 'AND n.stream NOT IN (SELECT stream FROM keyed)' : ''}
        ON CONFLICT (tenant, name) DO UPDATE SET stream = excluded.stream, earlier = s.earlier || s.stream WHERE s.stream = excluded.earlier[1]
        RETURNING s.stream)`,
    // Compare-and-swap. ON CONFLICT looks at the newest committed row, not at the snapshot; the look at stream_head refuses to create a stream that the
    // appender thought existed.
    `won AS (
      INSERT INTO stream_head AS h (stream, seq, head, base)
      SELECT w.stream, w.seq, w.head, w.base FROM ${heads}
       WHERE (w.base = '' OR (SELECT true FROM stream_head s WHERE s.stream = w.stream))
         ${answers ? 'AND w.stream NOT IN (SELECT stream FROM answered)' : ''}
         ${uses ? 'AND w.stream NOT IN (SELECT stream FROM keyed)' : ''}
         ${names ? 'AND (w.stream NOT IN (SELECT stream FROM name) OR w.stream IN (SELECT stream FROM named))' : ''}
       ORDER BY w.stream COLLATE "C"
      ON CONFLICT (stream) DO UPDATE SET seq = excluded.seq, head = excluded.head, base = excluded.base WHERE h.head = excluded.base
      RETURNING h.stream)`,
    // ORDER BY: identity values are given after the sort, so id order is seq order inside a stream; the sequencer relies on it.
    `ins AS (
      INSERT INTO event (${EVENT})
      SELECT ${EVENT.replaceAll(/\w+/g, 'n.$&')} FROM ${answers ? 'new_event n' : events} JOIN won ON won.stream = n.stream ORDER BY n.ord
      RETURNING id, event_id, type, in_reply_to)`,
    payload,
    freshKeys,
    'pend AS (INSERT INTO pending (id) SELECT id FROM ins)',
    open &&
      `opened AS (
        INSERT INTO open_request (id, stream, owner, deadline)
        SELECT o.id, o.stream, o.owner, clock_timestamp() + make_interval(secs => o.secs) FROM ${open} JOIN won ON won.stream = o.stream)`,
    answers && `closed AS (DELETE FROM open_request WHERE id = ANY(ARRAY(SELECT in_reply_to FROM ins WHERE type = 'contract.response')))`,
    uses &&
      `used AS (
        INSERT INTO idempotency (scope, key, request, salt, body)
        SELECT k.scope, k.key, k.request, k.salt, k.body FROM claim k JOIN won ON won.stream = k.stream ORDER BY k.scope COLLATE "C", k.key)`,
  ];
  const results = [
    `SELECT stream, 'won' AS verdict FROM won`,
    answers && `SELECT stream, 'answered' FROM answered`,
    uses && `SELECT stream, 'keyed' FROM keyed`,
    names && `SELECT n.stream, 'renamed' FROM name n WHERE n.stream NOT IN (SELECT stream FROM named)`,
  ];
  return `WITH ${parts.filter(Boolean).join(',\n')}\n${results.filter(Boolean).join(' UNION ALL ')}`;
}

/** By their names, which name their parts. */
const statements = new Map<string, string>();

function statementFor(lanes: readonly Lane[]): { name: string; text: string; values: Buffer[] } {
  const rows = rowsOf(lanes);
  const has = (kind: keyof Rows) => rows[kind].length > 0;
  const answers = lanes.some((lane) => lane.placed.some(({ draft }) => draft.type === 'contract.response'));
  const parts: Parts = { opens: has('opens'), answers, uses: has('uses'), names: has('names'), keys: has('keys') };
  const values = [binary('heads', rows), binary('events', rows), binary('payloads', rows)];
  let name = 'append';
  for (const part of OPTIONAL) {
    if (!parts[part]) continue;
    name += `_${part}`;
    if (part !== 'answers') values.push(binary(part, rows));
  }
  let text = statements.get(name);
  if (text === undefined) {
    text = appendSql(parts);
    statements.set(name, text);
  }
  return { name, text, values };
}

const binary = (kind: keyof Rows, rows: Rows) => binaryRows(TYPES[kind][1], rows[kind]);

export type Verdict = 'won' | 'lost' | 'answered' | 'keyed' | 'renamed';

const ANSWER_MS = 15_000;

/** One statement for all lanes. Rejects with the database's error: nothing was written, or nothing is known (outcomeOf). */
export async function appendLanes(db: Database, lanes: readonly Lane[]): Promise<Map<string, Verdict>> {
  return verdicts(await db.namedWithin<VerdictRow>(ANSWER_MS, statementFor(lanes)), lanes);
}

/** The same while `claimTurn` holds the stream. */
export async function appendInTurn(tx: Tx, lane: Lane): Promise<Verdict> {
  const { name, text, values } = statementFor([lane]);
  return verdicts(await tx.named<VerdictRow>(name, text, values), [lane]).get(lane.stream)!;
}

interface VerdictRow {
  readonly stream: string;
  readonly verdict: Verdict;
}

/** A stream that was won is named once; one that was not may have several reasons, of which a used key is the most telling. */
function verdicts(rows: VerdictRow[], lanes: readonly Lane[]): Map<string, Verdict> {
  const found = new Map<string, Verdict>(lanes.map((lane) => [lane.stream, 'lost']));
  for (const reason of ['renamed', 'answered', 'keyed', 'won'] as const) {
    for (const { stream, verdict } of rows) if (verdict === reason) found.set(stream, verdict);
  }
  return found;
}

/** Queues for the stream's row. Must be a statement of its own: what is read after it sees what the last holder committed. */
export async function claimTurn(tx: Tx, stream: string): Promise<void> {
  await tx.named('claim_turn', 'SELECT 1 FROM stream_head WHERE stream = $1 FOR UPDATE', [stream]);
}

/** States of the named streams as committed now; a stream that does not exist yet is empty. */
export async function loadStates(tx: Tx, streams: readonly string[]): Promise<Map<string, StreamState>> {
  const states = new Map<string, StreamState>(streams.map((stream) => [stream, emptyStream()]));
  const rows = await tx.named<StateRow>(
    'load_states',
    `SELECT h.stream, h.seq, h.head, ARRAY(SELECT o.id FROM open_request o WHERE o.stream = h.stream) AS open, e.event_id AS seal, e.record,
            k.key_id, k.master, k.wrapped
       FROM stream_head h
       LEFT JOIN LATERAL (SELECT c.event_id, c.record FROM event c WHERE c.stream = h.stream AND c.type = 'session.closed' OFFSET 0) e ON true
       LEFT JOIN LATERAL (SELECT p.key_id, p.master, p.wrapped FROM payload_key p WHERE p.stream = h.stream AND p.wrapped IS NOT NULL OFFSET 0) k ON true
      WHERE h.stream = ANY($1::text[])`,
    [streams],
  );
  for (const row of rows) {
    const seal: Seal | null = row.seal === null ? null : { event: row.seal, reason: reasonOf(row.record!) };
    states.set(row.stream, { seq: row.seq, head: row.head, open: new Set(row.open), seal, ...keyOf(row, tx) });
  }
  return states;
}

interface StateRow extends Partial<WrappedKey> {
  readonly stream: string;
  readonly seq: number;
  readonly head: Buffer;
  readonly open: string[];
  readonly seal: string | null;
  readonly record: Buffer | null;
}

function keyOf({ stream, key_id, master, wrapped }: StateRow, tx: Tx): Pick<StreamState, 'key' | 'unusable'> {
  if (!key_id || !master || !wrapped) return {};
  const key = tx.keys.ofStream({ key_id, master, wrapped });
  if (typeof key !== 'string') return { key };
  return { unusable: `the data key of stream ${stream}, wrapped by master key ${master}, cannot be opened: ${key}` };
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
    `SELECT i.* FROM unnest($1::text[], $2::bytea[]) AS k(scope, key) CROSS JOIN LATERAL
       (SELECT u.scope, u.key, u.request, u.salt, u.body FROM idempotency u WHERE u.scope = k.scope AND u.key = k.key OFFSET 0) i`,
    [claims.map((c) => c.scope), claims.map((c) => c.key)],
  );
}
