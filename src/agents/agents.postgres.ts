/** The streams of the agents: read to their latest events, and written where they still stand as they were read. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Appender } from '../ledger/append.worker.js';
import type { Database, Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadsNamed } from '../ledger/payload.postgres.js';
import type { Draft, EventType } from '../ledger/record.js';
import { AGENT_TYPES, type AgentEvent, type AgentState, foldAgent, type HealthState } from './agent-state.js';
import type { Registration, Source } from './registration.js';

/** Agents are one set for all tenants; who registered one is payload of its record. */
const PREFIX = 'default/agent/';
export const agentStream = (agentId: string) => PREFIX + agentId;

interface Row {
  id: number;
  event_id: string;
  stream: string;
  seq: number;
  type: EventType;
  time: string;
  hash: Buffer;
  health: string | null;
}

/** The heads of all agent streams, to see what has moved since. They hold all that stands below `position` in the global order, if not only that. */
export async function agentHeads(tx: Tx): Promise<{ heads: Map<string, number>; position: number }> {
  const rows = await tx.named<{ stream: string | null; seq: number }>(
    'agent_heads',
    `SELECT stream, seq FROM stream_head WHERE stream >= $1 AND stream < $2 UNION ALL SELECT NULL, size FROM sequencer`,
    [PREFIX, `${PREFIX.slice(0, -1)}0`], // 0 follows / in "C" order
  );
  const heads = new Map(rows.flatMap(({ stream, seq }) => (stream === null ? [] : [[stream.slice(PREFIX.length), seq] as const])));
  return { heads, position: rows.find(({ stream }) => stream === null)?.seq ?? 0 };
}

async function agentHead(tx: Tx, agentId: string): Promise<number> {
  const rows = await tx.named<{ seq: number }>('agent_head', 'SELECT seq FROM stream_head WHERE stream = $1', [agentStream(agentId)]);
  return rows[0]?.seq ?? 0;
}

/** How these agents are; as they were at `upTo`, where that is given. Those nobody ever registered have seq 0. */
export async function agentStates(tx: Tx, agentIds: readonly string[], upTo?: number): Promise<AgentState[]> {
  if (agentIds.length === 0) return [];
  const rows = await tx.named<Row>(
    'agent_states',
    `SELECT e.* FROM unnest($1::text[]) AS s(stream) CROSS JOIN unnest($2::text[]) AS t(type)
      CROSS JOIN LATERAL (
        SELECT id, event_id, stream, seq, type, time, hash, convert_from(record, 'UTF8')::jsonb ->> 'health' AS health FROM event
         WHERE stream = s.stream COLLATE "C" AND type = t.type COLLATE "C" AND type LIKE 'agent.%' AND seq <= $3 ORDER BY seq DESC LIMIT 1) e
      ORDER BY e.seq`,
    [agentIds.map(agentStream), AGENT_TYPES, upTo ?? Number.MAX_SAFE_INTEGER],
  );
  const ids = rows.map((row) => row.id);
  // Name by name: the documents beside them may be large.
  const [descriptions, sources, reasons] = [
    await payloadsNamed(tx, ids, 'description'),
    await payloadsNamed(tx, ids, 'source'),
    await payloadsNamed(tx, ids, 'reason'),
  ];
  const events = new Map<string, AgentEvent[]>(agentIds.map((id) => [agentStream(id), []]));
  for (const row of rows) {
    const { description } = disclosedValues(descriptions.get(row.id));
    const { source } = disclosedValues(sources.get(row.id));
    const { reason } = disclosedValues(reasons.get(row.id));
    events.get(row.stream)!.push({
      event_id: row.event_id,
      seq: row.seq,
      type: row.type,
      time: row.time,
      hash: row.hash.toString('hex'),
      ...(row.health !== null && { health: row.health as HealthState }),
      ...(typeof reason === 'string' && { reason }),
      // It was checked before it was written.
      ...(description !== undefined && { description: description as unknown as Registration }),
      ...(source !== undefined && { source: source as unknown as Source }),
    });
  }
  return agentIds.map((id) => foldAgent(id, events.get(agentStream(id))!));
}

/** Where the stream stood then: by place in the global order, or by time of sequencing. 0: it had no event yet. */
export async function seqAt(tx: Tx, agentId: string, at: { idx: number } | { time: string }): Promise<number> {
  const term = 'idx' in at ? 'l.idx <= $2::bigint' : 'l.sequenced_at <= $2::timestamptz';
  const [row] = await tx.named<{ seq: number }>(
    `agent_seq_at_${'idx' in at ? 'idx' : 'time'}`,
    `SELECT e.seq FROM event e CROSS JOIN LATERAL (SELECT idx, sequenced_at FROM leaf WHERE event = e.id OFFSET 0) l
      WHERE e.stream = $1 AND ${term} ORDER BY e.seq DESC LIMIT 1`,
    [agentStream(agentId), 'idx' in at ? at.idx : at.time],
  );
  return row?.seq ?? 0;
}

/** Every event of every agent with its places, the latest first. */
export async function agentMoves(tx: Tx): Promise<{ agent: string; seq: number; idx: number }[]> {
  const rows = await tx.named<{ stream: string; seq: number; idx: number }>(
    'agent_moves',
    `SELECT e.stream, e.seq, l.idx FROM event e CROSS JOIN LATERAL (SELECT idx FROM leaf WHERE event = e.id OFFSET 0) l
      WHERE e.stream >= $1 AND e.stream < $2 AND e.type LIKE 'agent.%' ORDER BY l.idx DESC`,
    [PREFIX, `${PREFIX.slice(0, -1)}0`],
  );
  return rows.map(({ stream, seq, idx }) => ({ agent: stream.slice(PREFIX.length), seq, idx }));
}

/** Writes to the streams of agents. */
export class AgentStreams {
  constructor(
    private readonly db: Database,
    private readonly appender: Appender,
  ) {}

  /**
   * Appends what `decide` makes of the agent as it is; null: nothing is to be written. Decides again when somebody else wrote first, so any
   * number of replicas may want the same at once and one of them writes it.
   */
  async write(agentId: string, decide: (state: AgentState) => Draft | null): Promise<{ state: AgentState; written: boolean }> {
    for (let attempt = 0; attempt < 20; attempt++) {
      // The head first: what is written in between makes the append fail, never the decision stale.
      const head = await agentHead(this.db, agentId);
      const [state] = await agentStates(this.db, [agentId]);
      const draft = decide(state!);
      if (draft === null) return { state: state!, written: false };
      const result = await this.appender.append({ stream: agentStream(agentId), drafts: [draft], expectSeq: head });
      if (result.refusal) continue;
      const [written] = await agentStates(this.db, [agentId], result.placed[0]!.seq);
      return { state: written!, written: true };
    }
    throw new OrchestratorError('ledger_unavailable', `agent ${agentId} could not be written: others kept changing it; try again`, {
      retryAfter: 1,
    });
  }
}
