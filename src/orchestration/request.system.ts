/** The REQUEST of an attempt: what goes on the record before the agent is called. */
import type { NewContract } from '../contracts/contracts.commands.js';
import type { JsonValue } from '../kernel/json.js';
import type { Caller } from '../kernel/principal.js';
import type { Decision } from '../routing/decision.js';
import type { Following, NoTurn, Tries, Turn } from './attempts.system.js';
import type { Work } from './carrier.system.js';
import type { Given } from './task-context.postgres.js';

/** What failed, and what the last of it announced. */
interface Before {
  readonly tries: Tries;
  readonly following: Following;
}

export interface Attempt {
  readonly decision: Decision;
  readonly turn: Turn | NoTurn;
  /** Absent: it is the first. */
  readonly before?: Before;
}

/** Milliseconds until the deadline. */
export const remaining = (work: Work) => Math.max(1, work.deadline - Date.now());

/** What the agent gets: a decision may have filled in what the caller left open. */
export const parametersOf = (work: Work, { choice }: Turn | NoTurn) => choice?.parameters ?? work.parameters;

export function newContract(caller: Caller, work: Work, attempt: Attempt, given: Given | null): NewContract {
  const { turn, before } = attempt;
  const to = turn.choice?.agent;
  const last = before?.tries.contracts.at(-1);
  return {
    id: before?.following.contract_id,
    tenant: caller.tenant,
    session: work.session_id,
    request: {
      task: work.task,
      to: to ? { agent: to.description.agent_id, version: to.description.version, record: to.record } : null,
      capability: turn.choice?.capability ?? null,
      deadline: new Date(work.deadline).toISOString(),
      cause: last?.answer.response ?? (given?.standing?.waits ? given.standing.response : work.cause),
      trace: caller.trace?.id ?? null,
      replay_of: work.replay_of,
    },
    payload: Object.assign(payloadOf(caller, work, attempt), given?.payload, work.within?.payload),
    seconds: remaining(work) / 1000,
    key: before ? undefined : work.key,
  };
}

function payloadOf(caller: Caller, work: Work, attempt: Attempt): Record<string, JsonValue | undefined> {
  const { capability, agent_id, message, preferred_protocol, intent, priority } = work;
  const asked: Record<string, JsonValue> = {};
  if (capability !== undefined) asked['capability'] = capability;
  if (agent_id !== undefined) asked['agent_id'] = agent_id;
  if (message !== undefined) asked['message'] = message;
  if (preferred_protocol !== undefined) asked['preferred_protocol'] = preferred_protocol;
  if (intent !== undefined) asked['intent'] = intent;
  if (priority !== undefined) asked['priority'] = priority;
  return {
    asked,
    parameters: parametersOf(work, attempt.turn),
    context: Object.keys(work.context).length > 0 ? work.context : undefined,
    routing: evidenceOf(attempt),
    principal: caller.principal ?? undefined,
  };
}

/** How it came to this agent: as the decision says, unless others were passed over, or have failed. */
function evidenceOf({ decision, turn, before }: Attempt): JsonValue {
  if (!turn.passed && !before) return decision.evidence;
  const evidence = { ...(decision.evidence as Record<string, JsonValue>) };
  if (turn.passed) evidence['passed_over'] = turn.passed.map((one) => ({ ...one }));
  const last = before?.tries.contracts.at(-1);
  if (!before || !last) return evidence;
  const after = { contract_id: last.asked.id, agent_id: last.asked.to, error_code: last.answer.code ?? null };
  return { ...evidence, attempt: before.tries.contracts.length + 1, after };
}
