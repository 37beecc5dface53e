import type { JsonValue } from '../kernel/json.js';
import type { Trace } from '../kernel/trace.js';
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

/** Tells a call that its answer is no longer wanted. It makes an AbortSignal only for those who ask: one costs more than the rest of the call's bookkeeping. */
export class Stop {
  private stopped: Error | null = null;
  private listeners: ((why: Error) => void)[] = [];
  private controller: AbortController | null = null;

  /** Calls back once, at once when it has happened already. */
  onStop(listener: (why: Error) => void): void {
    if (this.stopped) listener(this.stopped);
    else this.listeners.push(listener);
  }

  get signal(): AbortSignal {
    if (!this.controller) {
      const controller = new AbortController();
      this.controller = controller;
      this.onStop((why) => controller.abort(why));
    }
    return this.controller.signal;
  }

  stop(why: Error): void {
    if (this.stopped) return;
    this.stopped = why;
    const listeners = this.listeners;
    this.listeners = [];
    for (const listener of listeners) listener(why);
  }
}

export interface CallOptions {
  readonly stop: Stop;
  /** The trace the call belongs to, sent on where the protocol has a place for it. */
  readonly trace: Trace | null;
}

export interface Health {
  readonly status: 'healthy' | 'unhealthy' | 'unknown';
  /** Why it is not healthy, in words. */
  readonly error: string | null;
}

/**
 * One way of calling one agent. Never throws: whatever the agent does becomes an Answer. Called once per contract, never retried behind the
 * record's back. Stops work and settles soon after `stop`; its Answer is then ignored. What comes from outside has been through
 * parseJson before anybody sees it; what could not be parsed is kept in `raw`.
 */
export abstract class AgentClient {
  abstract call(task: Task, options: CallOptions): Promise<Answer>;

  /** Whether the agent is well, asked of it now. Never throws, settles within five seconds, reads 64 KiB at most; `unknown` if it cannot be asked. */
  abstract health(): Promise<Health>;

  /** Frees sockets. The client is not called again. */
  abstract close(): Promise<void>;
}
