/** Passes calls on, and tells how they ended: the signals that cost nothing. */
import type { Task } from './agent.js';
import { AgentClient, type Answer, type AnswerFailure, type CallOptions, type Health } from './agent-client.js';

export class WatchedClient extends AgentClient {
  override readonly conversational: boolean;
  private running = 0;
  private closing = false;
  private closed: Promise<void> | null = null;

  constructor(
    private readonly client: AgentClient,
    /** null: it did what it was asked to. Not told of calls that were stopped: whose fault that was, nobody knows here. */
    private readonly ended: (code: AnswerFailure | null, milliseconds: number) => void,
  ) {
    super();
    this.conversational = client.conversational;
  }

  async call(task: Task, options: CallOptions): Promise<Answer> {
    let stopped = false;
    options.stop.onStop(() => {
      stopped = true;
    });
    this.running += 1;
    const began = performance.now();
    try {
      const answer = await this.client.call(task, options);
      if (!stopped) this.ended(answer.success ? null : answer.code, performance.now() - began);
      return answer;
    } finally {
      this.running -= 1;
      if (this.closing && this.running === 0) void this.close();
    }
  }

  health(): Promise<Health> {
    return this.client.health();
  }

  /** Calls under way finish first; nobody waits for them here. */
  async close(): Promise<void> {
    this.closing = true;
    if (this.running > 0) return;
    this.closed ??= this.client.close();
    await this.closed;
  }
}
