/** Reads a session as it stood at one point. */
import { Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Database, Tx } from '../ledger/database.postgres.js';
import { disclosedValues, type PayloadRow, payloadsOf } from '../ledger/payload.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../ledger/read.postgres.js';
import { reasonsGone, shortOf } from './replay-gone.postgres.js';
import { MISSING } from './replay-history.js';
import { type ContractThen, type Point, SessionFold, type SessionThen, type StreamState } from './replay-session.js';
import { isBroken } from './replay-source.js';
import { verified } from './replay-source.postgres.js';
import type { ReplayMessage } from './replay-wire.js';

export interface SessionWish {
  readonly tenant: string;
  readonly session: string;
  /** Without it all there is. */
  readonly at?: Point | undefined;
}

/** A stream, as far as it counts. */
export interface Stretch {
  readonly stream: string;
  readonly to: number;
}

const EVENTS = 1000;
/** Contracts whose payload is held at once: each may have some megabytes. */
const CONTRACTS = 20;

export async function* replaySession(db: Database, wish: SessionWish): AsyncGenerator<ReplayMessage<ContractThen, SessionThen>> {
  const { tenant, session } = wish;
  const stretches = await stretchesOf(db, wish);
  const source = yield* verified(db, { session: { tenant, name: session } });
  if (isBroken(source)) return;
  const states: StreamState[] = [];
  for (const stretch of stretches) states.push(await stateOf(db, stretch));
  const total = states.reduce((sum, { contracts }) => sum + contracts.requested, 0);
  let [done, unexplained] = [0, 0];
  for (const stretch of stretches) {
    for await (const page of contractsOf(db, stretch)) {
      for (const item of page.contracts) yield { item };
      done += page.contracts.length;
      unexplained += page.unexplained;
      yield { step: 'replaying', done, total };
    }
  }
  yield { result: { session_id: session, tenant, now: states.at(-1)!, earlier: states.slice(0, -1), unexplained } };
}

/** Its streams, oldest first, as far as they count; never empty. */
export async function stretchesOf(db: Database, { tenant, session, at }: SessionWish): Promise<Stretch[]> {
  const row = await new Sessions(db).find(tenant, session);
  if (!row) throw new OrchestratorError('not_found', `there is no session ${JSON.stringify(session)}`);
  const stretches: Stretch[] = [];
  for (const stream of [...row.earlier, row.stream]) {
    const to = at && 'milliseconds' in at ? await headAt(db, stream, at.milliseconds) : await headOf(db, stream);
    if (to > 0) stretches.push({ stream, to });
  }
  const last = stretches.at(-1);
  if (!last) throw new OrchestratorError('not_found', `session ${JSON.stringify(session)} had not begun then`);
  if (!at || !('seq' in at)) return stretches;
  if (at.seq < 1 || at.seq > last.to)
    throw new OrchestratorError('invalid_request', `the session's last stream has seq 1 to ${last.to}, not ${at.seq}`);
  return [...stretches.slice(0, -1), { stream: last.stream, to: at.seq }];
}

async function headOf(tx: Tx, stream: string): Promise<number> {
  const [head] = await tx.query<{ seq: number }>('SELECT seq FROM stream_head WHERE stream = $1', [stream]);
  return head?.seq ?? 0;
}

/** Places are given by the database's clock, in the order of the ledger: what a writer's clock said decides nothing. */
async function headAt(tx: Tx, stream: string, milliseconds: number): Promise<number> {
  const [row] = await tx.named<{ seq: number }>(
    'session_seq_at',
    `SELECT e.seq FROM event e CROSS JOIN LATERAL (SELECT sequenced_at FROM leaf WHERE event = e.id OFFSET 0) l
      WHERE e.stream = $1 AND l.sequenced_at <= to_timestamp($2::float8 / 1000) ORDER BY e.seq DESC LIMIT 1`,
    [stream, milliseconds],
  );
  return row?.seq ?? 0;
}

async function stateOf(tx: Tx, { stream, to }: Stretch): Promise<StreamState> {
  const fold = new SessionFold(stream);
  for (let seq = 0; seq < to; ) {
    const rows = await eventsOf(tx, { stream, to }, seq, EVENTS);
    if (rows.length === 0) break;
    for (const row of rows) fold.add({ ...row, hash: row.hash.toString('hex'), record: recordOf(row) });
    seq = rows.at(-1)!.seq;
  }
  return fold.state();
}

/** A stream's events after `seq`. */
export function eventsOf(tx: Tx, { stream, to }: Stretch, seq: number, limit: number): Promise<EventRow[]> {
  const text = `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.stream = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq LIMIT $4`;
  return tx.named('replay_events', text, [stream, seq, to, limit]);
}

interface Page {
  readonly contracts: ContractThen[];
  readonly unexplained: number;
}

async function* contractsOf(tx: Tx, { stream, to }: Stretch): AsyncGenerator<Page> {
  for (let seq = 0; ; ) {
    const requests = await tx.named<EventRow>(
      'replay_requests',
      `SELECT ${EVENT_COLUMNS} FROM event e
        WHERE e.stream = $1 AND e.seq > $2 AND e.seq <= $3 AND e.type = 'contract.request' ORDER BY e.seq LIMIT ${CONTRACTS}`,
      [stream, seq, to],
    );
    if (requests.length === 0) return;
    const responses = await tx.named<EventRow>(
      'replay_responses',
      `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.in_reply_to = ANY($1::text[]) AND e.type = 'contract.response' AND e.seq <= $2`,
      [requests.map((row) => row.event_id), to],
    );
    yield await paired(tx, requests, responses);
    seq = requests.at(-1)!.seq;
  }
}

async function paired(tx: Tx, requests: readonly EventRow[], responses: readonly EventRow[]): Promise<Page> {
  const rows = [...requests, ...responses];
  const payloads = await payloadsOf(
    tx,
    rows.map((row) => row.id),
  );
  const gone = await reasonsGone(tx, shortOf(rows, payloads));
  const answers = new Map(responses.map((row) => [row.in_reply_to, row]));
  const contracts = requests.map((row) => contractOf(row, answers.get(row.event_id), payloads, gone));
  return { contracts, unexplained: [...gone.values()].filter((reason) => reason === null).length };
}

function contractOf(
  row: EventRow,
  answer: EventRow | undefined,
  payloads: ReadonlyMap<number, PayloadRow[]>,
  gone: ReadonlyMap<string, string | null>,
): ContractThen {
  const { replay_of, to_version } = recordOf(row);
  const reasons = [row, answer].flatMap((half) => (half && gone.has(half.event_id) ? [gone.get(half.event_id) ?? MISSING] : []));
  return {
    contract_id: row.event_id,
    stream: row.stream,
    seq: row.seq,
    asked_at: row.time,
    task_id: row.task,
    cause: row.cause,
    replay_of: replay_of ?? null,
    agent_id: row.to_agent,
    agent_version: to_version ?? null,
    capability: row.capability,
    status: answer?.status ?? 'pending',
    error_code: answer?.error_code ?? null,
    answered_at: answer?.time ?? null,
    response_seq: answer?.seq ?? null,
    request: disclosedValues(payloads.get(row.id)),
    response: answer ? disclosedValues(payloads.get(answer.id)) : {},
    gone: reasons[0] ?? null,
  };
}

type Members = { reason?: string; from_seq?: number; to_seq?: number; replay_of?: string; to_version?: string };

const recordOf = (row: EventRow) => JSON.parse(row.record.toString('utf8')) as Members;
