/** A session as it stood at one point: the fold of its streams up to there, and each contract as it was known then. Pure. */
import { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';

/** Up to this place of its last stream, or up to what the ledger had at this moment (milliseconds since 1970). */
export type Point = { readonly seq: number } | { readonly milliseconds: number };

/** Throws `invalid_request`. A time names its zone: whoever replays may sit in another one than whoever recorded. */
export function pointOf(text: string): Point {
  if (/^\d{1,15}$/.test(text)) return { seq: Number(text) };
  const milliseconds = /^\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(milliseconds)) return { milliseconds };
  throw new OrchestratorError('invalid_request', `at must be a seq, or an ISO 8601 time with its zone, not ${JSON.stringify(text)}`);
}

const json = z.custom<JsonValue>();
const counts = z.looseObject({
  requested: z.number(),
  pending: z.number(),
  completed: z.number(),
  failed: z.number(),
  cancelled: z.number(),
});

export const streamStateSchema = z.looseObject({
  stream: z.string(),
  /** Of the last event that counts, and its hash. */
  seq: z.number(),
  head: z.string().nullable(),
  state: z.enum(['open', 'closed']),
  close_reason: z.string().nullable(),
  opened_at: z.string().nullable(),
  last_event_at: z.string().nullable(),
  tasks: z.number(),
  contracts: counts,
  /** Contracts by agent; those nobody could take under ''. */
  agents: z.record(z.string(), counts),
  /** The newest memory block. */
  memory: z.looseObject({ memory_block_id: z.string(), seq: z.number(), from_seq: z.number(), to_seq: z.number() }).nullable(),
  memory_blocks: z.number(),
});
/** What a stream's events come to. */
export type StreamState = z.infer<typeof streamStateSchema>;

/** What of an event counts here: the columns, and some members of the record. */
export interface StreamEvent {
  readonly event_id: string;
  readonly seq: number;
  readonly hash: string;
  readonly type: string;
  readonly time: string;
  readonly task: string | null;
  readonly in_reply_to: string | null;
  readonly from_agent: string | null;
  readonly to_agent: string | null;
  readonly status: string | null;
  readonly record: { readonly reason?: string; readonly from_seq?: number; readonly to_seq?: number };
}

type Counts = z.infer<typeof counts>;
const none = (): Counts => ({ requested: 0, pending: 0, completed: 0, failed: 0, cancelled: 0 });

export class SessionFold {
  private readonly tasks = new Set<string>();
  private readonly open = new Set<string>();
  private readonly told: { -readonly [K in keyof StreamState]: StreamState[K] };

  constructor(stream: string) {
    this.told = {
      ...{ stream, seq: 0, head: null, state: 'open', close_reason: null, opened_at: null, last_event_at: null },
      ...{ tasks: 0, contracts: none(), agents: {}, memory: null, memory_blocks: 0 },
    };
  }

  /** In the order of seq. */
  add(event: StreamEvent): void {
    const { told } = this;
    Object.assign(told, { seq: event.seq, head: event.hash, opened_at: told.opened_at ?? event.time, last_event_at: event.time });
    if (event.task !== null) this.tasks.add(event.task);
    switch (event.type) {
      case 'contract.request':
        this.open.add(event.event_id);
        this.count(event.to_agent, 'requested');
        break;
      case 'contract.response':
        if (this.open.delete(event.in_reply_to ?? '')) this.count(event.from_agent, event.status as 'completed' | 'failed' | 'cancelled');
        break;
      case 'session.closed':
        Object.assign(told, { state: 'closed', close_reason: event.record.reason ?? 'requested' });
        break;
      case 'session.compressed':
        told.memory_blocks += 1;
        told.memory = {
          memory_block_id: event.event_id,
          seq: event.seq,
          from_seq: event.record.from_seq ?? 0,
          to_seq: event.record.to_seq ?? 0,
        };
    }
  }

  state(): StreamState {
    return { ...this.told, tasks: this.tasks.size, contracts: { ...this.told.contracts }, agents: copied(this.told.agents) };
  }

  private count(agent: string | null, what: 'requested' | 'completed' | 'failed' | 'cancelled'): void {
    const name = agent === null || agent === 'orchestrator' ? '' : agent;
    this.told.agents[name] ??= none();
    for (const counted of [this.told.contracts, this.told.agents[name]]) {
      counted[what] += 1;
      counted.pending += what === 'requested' ? 1 : -1;
    }
  }
}

const copied = (agents: Record<string, Counts>) =>
  Object.fromEntries(Object.entries(agents).map(([agent, counted]) => [agent, { ...counted }]));

export const contractSchema = z.looseObject({
  contract_id: z.string(),
  stream: z.string(),
  seq: z.number(),
  asked_at: z.string(),
  task_id: z.string().nullable(),
  cause: z.string().nullable(),
  replay_of: z.string().nullable(),
  agent_id: z.string().nullable(),
  agent_version: z.string().nullable(),
  capability: z.string().nullable(),
  /** `pending`: the RESPONSE came later, or not yet. */
  status: z.enum(['pending', 'completed', 'failed', 'cancelled']),
  error_code: z.string().nullable(),
  answered_at: z.string().nullable(),
  response_seq: z.number().nullable(),
  /** What the REQUEST and the RESPONSE disclose, by name. */
  request: z.record(z.string(), json),
  response: z.record(z.string(), json),
  /** Why some of it is no longer there; null: all of it is. */
  gone: z.string().nullable(),
});
export type ContractThen = z.infer<typeof contractSchema>;

export const sessionSchema = z.looseObject({
  session_id: z.string(),
  tenant: z.string(),
  /** The last of its streams that had begun, at that point. */
  now: streamStateSchema,
  /** Streams that idleness closed before, oldest first. */
  earlier: z.array(streamStateSchema),
  /** Contracts whose payload is gone for no recorded reason. */
  unexplained: z.number(),
});
export type SessionThen = z.infer<typeof sessionSchema>;
