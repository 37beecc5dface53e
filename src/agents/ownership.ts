/** Who may change an agent: whose id it is. Pure; throws what the caller is told. */
import { canonicalJson } from '../kernel/canonical.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { type AgentState, isRegistered } from './agent-state.js';
import type { RegisteredAgent } from './directory.js';
import type { Registration, Source } from './registration.js';

export interface Wanted {
  readonly description: Registration;
  /** null: it stands in the agents file. */
  readonly source: Source | null;
}

/** Are these two the same on the record? */
export function isSame(state: AgentState, wanted: Wanted): boolean {
  const before = state.in_force;
  if (!isRegistered(state) || before?.description === undefined) return false;
  return same({ description: before.description, source: before.source ?? null }, wanted);
}

/** The same of an agent as this process knows it, which may be a second behind the record. */
export function isAsBefore({ description, protocol, endpoint, source }: RegisteredAgent, wanted: Wanted): boolean {
  return same({ description: { ...description, protocol, ...(endpoint !== null && { endpoint }) }, source }, wanted);
}

const same = (one: Wanted, other: Wanted) => text(one.description) === text(other.description) && text(one.source) === text(other.source);

const text = (value: unknown) => canonicalJson(JSON.parse(JSON.stringify(value)) as JsonValue);

/**
 * May `wanted` take this id? The agents file may always. Of others only whoever has registered it, and only for the address it is at: moving
 * it is a PUT. An id whose agent has retired is free.
 */
export function mayRegister(state: AgentState, wanted: Wanted, replace: boolean): void {
  const before = state.in_force;
  if (state.retired_at !== null && wanted.source?.by === 'discovery')
    throw conflict(`agent "${state.agent_id}" was retired; only POST /v1/agents brings it back`);
  if (wanted.source === null || !isRegistered(state) || !before?.source) return;
  const { source, description } = before;
  // Two addresses that name one agent must not take it from each other with every look.
  if (wanted.source.by === 'discovery' && wanted.source.url !== source.url)
    throw conflict(
      `the agent id "${state.agent_id}" is taken: it was ${source.url ? `found at ${source.url}` : 'registered over the API'}`,
    );
  if (!sameOwner(source, wanted.source, replace))
    throw conflict(`the agent id "${state.agent_id}" belongs to somebody else; choose another agent_id`);
  if (replace) return;
  const [there, here] = [description?.endpoint, wanted.description.endpoint];
  if (there !== here)
    throw conflict(`agent "${state.agent_id}" is registered at ${there}, not at ${here}; choose another agent_id, or move it with PUT`);
}

/** Whoever speaks for the same tenant may replace, stop and retire; to register the same id again it takes the same principal. */
function sameOwner(before: Source, now: Source, tenantOnly: boolean): boolean {
  return before.tenant === now.tenant && (tenantOnly || (before.principal ?? null) === (now.principal ?? null));
}

/** The agent, if this tenant may stop, start and retire it. */
export function mine(state: AgentState, tenant: string): AgentState {
  if (!isRegistered(state)) throw unknown(state.agent_id);
  const owner = state.in_force?.source?.tenant ?? 'default';
  if (owner !== tenant) throw anothers(state.agent_id);
  return state;
}

export const unknown = (agentId: string) =>
  new OrchestratorError('not_found', `there is no agent "${agentId}"; GET /v1/agents lists those there are`);

export const anothers = (agentId: string) => new OrchestratorError('forbidden', `agent "${agentId}" belongs to another tenant`);

export const conflict = (why: string) => new OrchestratorError('agent_conflict', why);
