import type { JsonValue } from '../kernel/json.js';
import type { Task } from './agent.js';

/** What came back from an agent, parsed and bounded. The words of `failed` are the contract's error codes. */
export type Answer =
  | { readonly success: true; readonly data: JsonValue }
  | {
      readonly success: false;
      readonly code: AnswerFailure;
      readonly message: string;
      readonly data?: JsonValue;
      readonly raw?: JsonValue;
    };

export type AnswerFailure = 'agent_failed' | 'agent_threw' | 'agent_unreachable' | 'agent_invalid_response' | 'agent_response_too_large';

/**
 * One way of calling one agent. Never throws: whatever the agent does becomes an Answer. Called once per contract, never retried behind the
 * record's back. Stops work and settles soon after `signal` aborts; its Answer is then ignored. What comes from outside has been through
 * parseJson before anybody sees it; what could not be parsed is kept in `raw`.
 */
export abstract class AgentClient {
  abstract call(task: Task, options: { signal: AbortSignal; trace: string | null }): Promise<Answer>;

  /** Frees sockets. The client is not called again. */
  abstract close(): Promise<void>;
}
