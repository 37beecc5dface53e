/**
 * What an agent's stream says of it: the fold of its events. The latest event of each type is enough, so nobody reads a stream from its
 * beginning: folding only those gives the same state as folding all of them.
 */
import type { EventType } from '../ledger/record.js';
import type { Registration, Source } from './registration.js';

export type HealthState = 'available' | 'offline' | 'error';

/** An event of an agent's stream, with what its payload still says. */
export interface AgentEvent {
  readonly event_id: string;
  readonly seq: number;
  readonly type: EventType;
  readonly time: string;
  /** Hex. */
  readonly hash: string;
  readonly health?: HealthState;
  readonly reason?: string;
  /** Of registered and updated; absent once erased. */
  readonly description?: Registration;
  readonly source?: Source;
}

export interface AgentState {
  readonly agent_id: string;
  /** Of the latest event of the stream. */
  readonly seq: number;
  /** The registered or updated event in force. */
  readonly in_force: AgentEvent | null;
  readonly retired_at: string | null;
  readonly stopped: boolean;
  /** The latest transition; null: none since it was registered, which counts as available. */
  readonly health: { readonly state: HealthState; readonly reason: string | null; readonly since: string } | null;
}

export const unknownAgent = (agentId: string): AgentState => ({
  agent_id: agentId,
  seq: 0,
  in_force: null,
  retired_at: null,
  stopped: false,
  health: null,
});

export function evolveAgent(before: AgentState, event: AgentEvent): AgentState {
  const state = { ...before, seq: event.seq };
  switch (event.type) {
    case 'agent.registered': // starts afresh, also after it was retired
      return { ...state, in_force: event, retired_at: null, stopped: false, health: null };
    case 'agent.updated':
      return { ...state, in_force: event };
    case 'agent.retired':
      return { ...state, retired_at: event.time };
    case 'agent.started':
      return { ...state, stopped: false };
    case 'agent.stopped':
      return { ...state, stopped: true };
    case 'agent.health':
      return { ...state, health: { state: event.health ?? 'available', reason: event.reason ?? null, since: event.time } };
    default:
      return state;
  }
}

/** The types an agent's state is made of. */
export const AGENT_TYPES = [
  'agent.registered',
  'agent.updated',
  'agent.retired',
  'agent.started',
  'agent.stopped',
  'agent.health',
] as const satisfies readonly EventType[];

/** In the order of seq. */
export const foldAgent = (agentId: string, events: readonly AgentEvent[]): AgentState => events.reduce(evolveAgent, unknownAgent(agentId));

export const isRegistered = (state: AgentState): boolean => state.in_force !== null && state.retired_at === null;

export type AgentStatus = HealthState | 'stopped' | 'retired';

export function statusOf({ retired_at, stopped, health }: AgentState): AgentStatus {
  if (retired_at !== null) return 'retired';
  if (stopped) return 'stopped';
  return health?.state ?? 'available';
}
