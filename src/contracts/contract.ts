/**
 * A contract: one call to one agent, a REQUEST and its RESPONSE. Here stand the words of both halves; the rules of their order are the
 * stream's (ledger/stream.ts).
 */
import type { JsonValue } from '../kernel/json.js';
import type { Members } from '../ledger/record.js';

/** Why a contract did not complete. The list is closed: it stands in envelopes that can never be erased. */
export const ERROR_CODES = {
  no_agent: 'no registered agent offers what was asked for',
  invalid_input: "the parameters do not fit the capability's input schema",
  agent_failed: 'the agent answered that it could not do it',
  agent_busy: 'the agent takes no more for now; it has not acted',
  agent_threw: 'the agent broke down',
  agent_timeout: 'the agent did not answer before the deadline',
  agent_unreachable: 'the agent could not be reached',
  agent_invalid_response: 'what the agent answered could not be understood',
  agent_invalid_output: "the result does not fit the capability's output schema",
  agent_response_too_large: 'the agent answered more than can be recorded',
  input_required: 'the agent needs more input; the next call continues from here',
  auth_required: 'the agent needs other credentials; the next call continues from here',
  breaker_open: 'the agent failed too often and is not called for now',
  cancelled: 'it was cancelled before the agent answered',
  step_failed: 'a step of the plan failed, and the plan could not do without it',
  synthesis_failed: 'the language model made no usable answer of the steps',
  interrupted: 'the orchestrator stopped while the call ran; whether the agent acted is unknown',
} as const;

export type ContractErrorCode = keyof typeof ERROR_CODES;

export const ORCHESTRATOR = 'orchestrator';

/** What of a file is on the record: enough to recognise it, not its content. */
export type RecordedFile = { name?: string; media_type?: string; url?: string; size?: number; sha256?: string };

/** How a contract ended. */
export interface Outcome {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly code?: ContractErrorCode;
  readonly result?: JsonValue;
  /** What went wrong, in words; payload, so it may quote the caller or the agent. */
  readonly message?: string;
  /** What the agent said in words. */
  readonly text?: string;
  /** Files it made, by reference. */
  readonly files?: RecordedFile[];
  /** The agent's answer as it came, where its data are not all of it or could not be understood. */
  readonly raw?: JsonValue;
  /** How `raw` was read. */
  readonly read?: string;
  /** Where the conversation with the agent stands, in its protocol's words. */
  readonly continuation?: JsonValue;
  /** The task goes on: the REQUEST of its next attempt. */
  readonly next?: Next;
}

/** Foretold in the RESPONSE of an attempt that failed, so that whoever reads it knows that the task has not ended with it. */
export type Next = { readonly contract_id: string; readonly pause_ms: number };

/** What came of the call beside how it ended. */
export type Said = Omit<Outcome, 'status' | 'code' | 'message' | 'next'>;

export const completed = (result: JsonValue, said: Said = {}): Outcome => ({ status: 'completed', ...said, result });

export const failed = (code: ContractErrorCode, message: string, more: Said = {}): Outcome => ({
  status: code === 'cancelled' ? 'cancelled' : 'failed',
  code,
  message,
  ...more,
});

/** The registered agent a REQUEST goes to. */
export interface Addressee {
  readonly agent: string;
  readonly version: string;
  /** Hex hash of the record that describes it. */
  readonly record: string;
}

export interface RequestMembers {
  readonly task: string;
  readonly to: Addressee | null;
  /** Only if an agent offers it: what the caller wrote is the disclosure `asked`. */
  readonly capability: string | null;
  readonly deadline: string;
  readonly cause: string | null;
  readonly trace: string | null;
  /** Id of the recorded REQUEST that is sent again. */
  readonly replay_of?: string | undefined;
}

export function requestMembers(request: RequestMembers): Members {
  const { to, capability, cause, trace, replay_of } = request;
  const members: Members = { task: request.task, from: ORCHESTRATOR, status: 'pending', deadline: request.deadline };
  if (to !== null) {
    members.to = to.agent;
    members.to_version = to.version;
    members.to_record = to.record;
  }
  if (capability !== null) members.capability = capability;
  if (cause !== null) members.cause = cause;
  if (trace !== null) members.trace = trace;
  if (replay_of !== undefined) members.replay_of = replay_of;
  return members;
}

/** The half of a REQUEST that its RESPONSE repeats. */
export interface Asked {
  readonly id: string;
  readonly task: string | null;
  readonly to: string | null;
  readonly capability: string | null;
}

/** A RESPONSE is from the agent that was asked, whoever wrote it down; `error_code` says who ended it. */
export function responseMembers(asked: Asked, outcome: Outcome): Members {
  const members: Members = {
    in_reply_to: asked.id,
    cause: asked.id,
    from: asked.to ?? ORCHESTRATOR,
    to: ORCHESTRATOR,
    status: outcome.status,
  };
  if (asked.task !== null) members.task = asked.task;
  if (asked.capability !== null) members.capability = asked.capability;
  if (outcome.code !== undefined) members.error_code = outcome.code;
  return members;
}

export function responsePayload(outcome: Outcome): Record<string, JsonValue | undefined> {
  const error = outcome.code === undefined ? undefined : { code: outcome.code, message: outcome.message ?? ERROR_CODES[outcome.code] };
  const { result, text, files, raw, read, continuation, next } = outcome;
  return { result, error, text, files, raw, read, continuation, next: next && { ...next } };
}
