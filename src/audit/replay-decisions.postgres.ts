/** Reads what decisions are taken again with: the agents as they are, or before each request as they were; and the requests in their order. */
import type { AgentState } from '../agents/agent-state.js';
import { agentHeads, agentMoves, agentStates } from '../agents/agents.postgres.js';
import { Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Database, Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadsNamed } from '../ledger/payload.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../ledger/read.postgres.js';
import { ledgerEnd } from '../ledger/sequence.postgres.js';
import { recentTurns } from '../routing/recent-turns.postgres.js';
import type { DecisionInput, RecordedRequest, RequestsRead } from './replay-decisions.js';
import { readable, reasonsGone } from './replay-gone.postgres.js';
import { MISSING } from './replay-history.js';
import { isBroken } from './replay-source.js';
import { verified } from './replay-source.postgres.js';
import type { ReplayMessage } from './replay-wire.js';

export interface DecisionsWish {
  readonly tenant: string;
  readonly session?: string | undefined;
  /** Milliseconds since 1970, by when the ledger took them in. */
  readonly since?: number | undefined;
  /** As they are, or as they were at each request. */
  readonly agents: 'now' | 'then';
  /** With what a model is to know of the session. */
  readonly recent: boolean;
  readonly verify: boolean;
}

type Row = EventRow & { readonly idx: number };

/** Every REQUEST discloses these. */
const DECIDED_BY = ['asked', 'parameters', 'routing'] as const;
/** Places in the global order one statement looks at. */
const LOOK = 2000;
/** Requests whose payload is held at once. */
const PAGE = 20;

export async function* replayRequests(db: Database, wish: DecisionsWish): AsyncGenerator<ReplayMessage<DecisionInput, RequestsRead>> {
  const { tenant, session, recent, verify } = wish;
  const streams = session === undefined ? null : await streamsOf(db, tenant, session);
  const source = yield* verified(db, verify && (session === undefined ? {} : { session: { tenant, name: session } }));
  if (isBroken(source)) return;
  const agents = new Agents(db, wish.agents);
  for (const agent of await agents.first()) yield { item: { agent } };
  const from = Math.max(wish.since === undefined ? 0 : await firstSince(db, wish.since), streams ? await beginOf(db, streams[0]!) : 0);
  let [requests, unexplained] = [0, 0];
  for (let idx = from; idx < source.size; idx += LOOK) {
    const rows = await requestsIn(db, { from: idx, to: Math.min(idx + LOOK, source.size), tenant, streams });
    for (let i = 0; i < rows.length; i += PAGE) {
      for (const { request, idx: place } of await read(db, rows.slice(i, i + PAGE), recent)) {
        for (const agent of await agents.before(place)) yield { item: { agent } };
        yield { item: { request } };
        requests += 1;
        if (request.gone === MISSING) unexplained += 1;
      }
    }
    yield { step: 'replaying', done: Math.min(idx + LOOK, source.size), total: source.size };
  }
  yield { result: { requests, unexplained } };
}

async function streamsOf(db: Database, tenant: string, session: string): Promise<string[]> {
  const row = await new Sessions(db).find(tenant, session);
  if (!row) throw new OrchestratorError('not_found', `there is no session ${JSON.stringify(session)}`);
  return [...row.earlier, row.stream];
}

/** The place of a stream's first event. */
async function beginOf(tx: Tx, stream: string): Promise<number> {
  const [leaf] = await tx.query<{ idx: number }>(
    'SELECT idx FROM leaf WHERE event = (SELECT id FROM event WHERE stream = $1 AND seq = 1)',
    [stream],
  );
  return leaf?.idx ?? 0;
}

/** The first place whose event was taken in then or later. Places are in the order of time, so it is halved towards. */
async function firstSince(tx: Tx, milliseconds: number): Promise<number> {
  let [low, high] = [0, await ledgerEnd(tx)];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [leaf] = await tx.named<{ before: boolean }>(
      'replay_before',
      'SELECT sequenced_at < to_timestamp($2::float8 / 1000) AS before FROM leaf WHERE idx = $1',
      [middle, milliseconds],
    );
    if (leaf?.before) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface Range {
  readonly from: number;
  readonly to: number;
  readonly tenant: string;
  /** null: all of the tenant's. */
  readonly streams: readonly string[] | null;
}

function requestsIn(tx: Tx, { from, to, tenant, streams }: Range): Promise<Row[]> {
  return tx.named(
    'replay_requests_in',
    `SELECT ${EVENT_COLUMNS}, l.idx FROM leaf l CROSS JOIN LATERAL (SELECT * FROM event WHERE id = l.event OFFSET 0) e
      WHERE l.idx >= $1 AND l.idx < $2 AND e.type = 'contract.request' AND starts_with(e.stream, $3)
        AND ($4::text[] IS NULL OR e.stream = ANY($4::text[])) ORDER BY l.idx`,
    [from, to, `${tenant}/session/`, streams],
  );
}

async function read(tx: Tx, rows: readonly Row[], recent: boolean): Promise<{ request: RecordedRequest; idx: number }[]> {
  const payloads = await payloadsNamed(
    tx,
    rows.map((row) => row.id),
    ...DECIDED_BY,
  );
  const gone = await reasonsGone(
    tx,
    rows.filter((row) => readable(payloads.get(row.id)).length < DECIDED_BY.length),
  );
  const requests: { request: RecordedRequest; idx: number }[] = [];
  for (const row of rows) {
    const { asked = null, parameters = null, routing = null } = disclosedValues(payloads.get(row.id));
    const reason = gone.get(row.event_id);
    const request = {
      contract_id: row.event_id,
      stream: row.stream,
      seq: row.seq,
      asked_at: row.time,
      agent_id: row.to_agent,
      capability: row.capability,
      ...{ asked, parameters, routing },
      recent: recent ? await recentTurns(tx, [row.stream], row.seq) : null,
      gone: reason === null ? MISSING : (reason ?? null),
    };
    requests.push({ request, idx: row.idx });
  }
  return requests;
}

/** The agents, told as they change; or once, as they are. */
class Agents {
  private readonly ahead: { agent: string; seq: number; idx: number }[] = [];

  constructor(
    private readonly tx: Tx,
    private readonly which: DecisionsWish['agents'],
  ) {}

  /** Those there are before the first request. */
  async first(): Promise<AgentState[]> {
    if (this.which === 'now') return agentStates(this.tx, [...(await agentHeads(this.tx)).heads.keys()]);
    this.ahead.push(...(await agentMoves(this.tx)));
    return [];
  }

  /** Those that changed before this place since it was asked last. */
  async before(position: number): Promise<AgentState[]> {
    const moved = new Map<string, number>();
    while (this.ahead.length > 0 && this.ahead.at(-1)!.idx < position) {
      const { agent, seq } = this.ahead.pop()!;
      moved.set(agent, seq);
    }
    const states: AgentState[] = [];
    for (const [agent, seq] of moved) states.push(...(await agentStates(this.tx, [agent], seq)));
    return states;
  }
}
