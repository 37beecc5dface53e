/**
 * Which agent gets the task, and why. Pure: the registry as it is now comes in, a decision that can be recorded comes out.
 */
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';

export interface Wish {
  readonly capability?: string | undefined;
  readonly agent_id?: string | undefined;
}

export interface Directory {
  get(agentId: string): RegisteredAgent | undefined;
  offering(capability: string): readonly RegisteredAgent[];
  capabilities(): string[];
}

export interface Decision {
  readonly agent: RegisteredAgent | null;
  /** Registered name of the capability, null if nobody offers it. */
  readonly capability: string | null;
  /** In words, why there is no agent; null if there is one. */
  readonly refused: string | null;
  /** The evidence, recorded as payload `routing`. */
  readonly evidence: JsonValue;
}

const MOST_NAMED = 20;

export function route(wish: Wish, directory: Directory): Decision {
  return wish.agent_id === undefined ? byCapability(wish.capability ?? '', directory) : byAgent(wish.agent_id, wish.capability, directory);
}

function byCapability(capability: string, directory: Directory): Decision {
  const offering = directory.offering(capability);
  const candidates = offering.filter((c) => c.status !== 'stopped');
  // Who is unwell is asked only where nobody else is left: what is known of him may be a moment old.
  const agent = candidates.find((c) => c.status === 'available') ?? candidates[0] ?? null;
  const evidence = { method: 'capability', candidates: candidates.map((c) => c.description.agent_id) };
  if (agent) return { agent, capability, refused: null, evidence };
  if (offering.length > 0) {
    const stopped = list(offering.map((c) => c.description.agent_id));
    return { agent: null, capability: null, refused: `everybody who offers "${capability}" is stopped: ${stopped}`, evidence };
  }
  const known = directory.capabilities();
  const offered = known.length > 0 ? `offered are ${list(known)}` : 'no agent is registered';
  return { agent: null, capability: null, refused: `no agent offers the capability "${capability}"; ${offered}`, evidence };
}

function byAgent(agentId: string, capability: string | undefined, directory: Directory): Decision {
  const agent = directory.get(agentId) ?? null;
  const evidence = { method: 'agent_id', candidates: agent ? [agentId] : [] };
  if (!agent) return { agent, capability: null, refused: `there is no agent "${agentId}"`, evidence };
  if (agent.status === 'stopped') return { agent: null, capability: null, refused: `agent "${agentId}" is stopped`, evidence };
  const offered = agent.description.capabilities.map((c) => c.name);
  const wanted = capability ?? (offered.length === 1 ? offered[0]! : undefined);
  if (wanted === undefined) {
    return { agent: null, capability: null, refused: `agent "${agentId}" has several capabilities, name one: ${list(offered)}`, evidence };
  }
  if (!offered.includes(wanted)) {
    return {
      agent: null,
      capability: null,
      refused: `agent "${agentId}" does not offer "${wanted}"; it offers ${list(offered)}`,
      evidence,
    };
  }
  return { agent, capability: wanted, refused: null, evidence };
}

const list = (names: string[]) =>
  names.slice(0, MOST_NAMED).join(', ') + (names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '');
