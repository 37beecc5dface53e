/** What Trace is told of a contract: one event for each half, and one node of the call tree for each REQUEST. */
import type { ToldErasure } from '../../contracts/told-erasure.js';
import type { JsonValue } from '../../kernel/json.js';

/** The follower's name in the ledger. */
export const TRACE = 'trace';

export interface TraceEvent {
  readonly event_type: 'contract.request' | 'contract.response' | 'payload.erased';
  readonly data: Readonly<Record<string, JsonValue>>;
}

export interface TraceNode {
  readonly session_id: string;
  readonly node_id: string;
  readonly parent_id: string | null;
  readonly modifiers: Record<string, number>;
  readonly metadata: Readonly<Record<string, JsonValue>>;
}

export interface TraceMessage {
  /** Trace's name of the session. */
  readonly sid: string;
  readonly event: TraceEvent;
  /** Only of a REQUEST. */
  readonly node: TraceNode | null;
}

/** An event of the ledger and what belongs to it. */
export interface Forwarded {
  readonly event_id: string;
  readonly stream: string;
  readonly seq: number;
  readonly type: string;
  readonly time: string;
  readonly task: string | null;
  readonly in_reply_to: string | null;
  readonly from_agent: string | null;
  readonly to_agent: string | null;
  readonly capability: string | null;
  readonly status: string | null;
  readonly error_code: string | null;
  /** Hex. */
  readonly hash: string;
  readonly prev: string | null;
  readonly idx: number | null;
  /** The caller's name of the session; null: erased. */
  readonly session: string | null;
  /** Disclosures by name, as far as they are still there. */
  readonly payload: Readonly<Record<string, JsonValue>>;
  /** Some of the event's payload is gone. */
  readonly erased: boolean;
  /** The contract that caused this one. */
  readonly parent: string | null;
}

/** context, routing, principal and raw answers stay in the house. */
export const FORWARDED_PAYLOAD = ['parameters', 'result', 'error'] as const;

export function traceMessage(of: Forwarded): TraceMessage {
  const request = of.type === 'contract.request';
  const contract = request ? of.event_id : of.in_reply_to!;
  const error = of.payload['error'] as { message?: string } | undefined;
  const sid = traceSession(of.stream, of.session);
  const data = {
    contract_id: contract,
    session_id: of.session,
    from_agent: of.from_agent,
    to_agent: of.to_agent,
    capability: of.capability,
    payload: of.payload['parameters'] ?? null,
    status: of.status,
    result: of.payload['result'] ?? null,
    error: error?.message ?? null,
    error_code: of.error_code,
    task_id: of.task,
    in_reply_to: of.in_reply_to,
    event_id: of.event_id,
    stream: of.stream,
    seq: of.seq,
    hash: of.hash,
    prev: of.prev,
    idx: of.idx,
    occurred_at: of.time,
    erased: of.erased || of.session === null,
  };
  const metadata = {
    agent_id: of.to_agent,
    capability: of.capability,
    task_id: of.task,
    seq: of.seq,
    hash: of.hash,
    requested_at: of.time,
  };
  return {
    sid,
    event: { event_type: request ? 'contract.request' : 'contract.response', data },
    node: request ? { session_id: sid, node_id: contract, parent_id: of.parent, modifiers: {}, metadata } : null,
  };
}

/** Trace knows no way to delete: it is told, and what it does is its own. null: it was never told of anything that goes. */
export function erasureMessage(
  event: Pick<Forwarded, 'event_id' | 'seq' | 'time' | 'hash' | 'idx' | 'stream'>,
  of: ToldErasure,
): TraceMessage | null {
  const stream = of.streams.at(-1);
  if (stream === undefined || !(of.whole || of.contracts.length > 0)) return null;
  const data = {
    event_id: event.event_id,
    session_id: of.session,
    contracts: of.whole ? null : [...of.contracts],
    fields: of.fields && [...of.fields],
    streams: [...of.streams],
    stream: event.stream,
    seq: event.seq,
    hash: event.hash,
    idx: event.idx,
    occurred_at: event.time,
  };
  return { sid: traceSession(stream, of.session), event: { event_type: 'payload.erased', data }, node: null };
}

/**
 * The caller's id of the session; of a tenant other than `default` behind the tenant's name, since Trace knows no tenants; where it was
 * erased, the ULID of the stream.
 */
export function traceSession(stream: string, name: string | null): string {
  const [tenant, , ulid] = stream.split('/') as [string, string, string];
  if (name === null) return ulid;
  return tenant === 'default' ? name : `${tenant}:${name}`;
}

/**
 * One segment of a path. No URL can carry `.` and `..` there, however they are written: every parser takes them for steps. They are encoded
 * twice, so Trace knows those two as `%2E` and `%2E%2E`; `data.session_id` has the true name.
 */
export function pathSegment(sid: string): string {
  return sid === '.' || sid === '..' ? sid.replaceAll('.', '%252E') : encodeURIComponent(sid);
}
