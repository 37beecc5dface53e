import type { JsonValue } from '../kernel/json.js';
import type { Trace } from '../kernel/trace.js';
import type { Task } from './agent.js';

/** What came back from an agent, parsed and bounded. The words of `failed` are the contract's error codes. */
export type Answer =
  | ({ readonly success: true; readonly data: JsonValue } & Said)
  | ({
      readonly success: false;
      readonly code: AnswerFailure;
      readonly message: string;
      readonly data?: JsonValue;
      readonly fault?: Fault;
    } & Said);

export type AnswerFailure =
  | 'agent_failed'
  | 'agent_busy'
  | 'agent_threw'
  | 'agent_unreachable'
  | 'agent_invalid_response'
  | 'agent_response_too_large'
  | 'input_required'
  | 'auth_required'
  | 'cancelled';

/** What a failure says beside its code to whoever may ask again. Not recorded. Absent: nobody knows whether the agent acted. */
export interface Fault {
  /** Nobody acted: the task did not reach the agent, or the agent turned it away unread. To ask again does nothing twice. */
  readonly untouched?: boolean;
  /** For so long it wants to be left alone. */
  readonly after_ms?: number;
  /** It broke down (HTTP 5xx); it did not answer that it cannot do it. */
  readonly broke?: boolean;
}

/** What the agent said beside its data, one shape whatever the protocol. Recorded as payload of the RESPONSE. */
export interface Said {
  /** Its words, where it answered in words. */
  readonly text?: string;
  readonly files?: readonly FileReference[];
  /** The answer as it came. */
  readonly raw?: JsonValue;
  /** How `raw` was read: which part became `data`, `text` and `files`. */
  readonly read?: string;
  /** Where the agent's conversation stands, in the protocol's own words. The next call to it in this session gets it back. */
  readonly continuation?: JsonValue;
}

/** A file is not recorded, only what it takes to recognise it. */
export interface FileReference {
  readonly name?: string;
  readonly media_type?: string;
  /** Where the agent says it is; absent if it came inside the answer. */
  readonly url?: string;
  readonly size?: number;
  /** Of the content that came inside the answer, hex. */
  readonly sha256?: string;
}

/** What a call tells while it runs. Lost when nobody listens; never recorded. */
export type Progress = { readonly status: string } | { readonly delta: string };

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

  /** null: it has not happened. */
  get why(): Error | null {
    return this.stopped;
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
  /** What the agent's last answer in this session left (contracts/conversation.ts has the rule); absent: nothing to go on from. */
  readonly continuation?: JsonValue;
  /** Absent: nobody listens. Never throws. What comes after the end of the call is passed over. */
  readonly progress?: (progress: Progress) => void;
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
  /** Whether answers may leave a continuation. Only then is the record asked for one before each call. */
  readonly conversational: boolean = false;

  abstract call(task: Task, options: CallOptions): Promise<Answer>;

  /** Whether the agent is well, asked of it now. Never throws, settles within five seconds, reads 64 KiB at most; `unknown` if it cannot be asked. */
  abstract health(): Promise<Health>;

  /** Frees sockets. The client is not called again. */
  abstract close(): Promise<void>;
}
