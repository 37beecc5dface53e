/// <reference lib="es2024.string" />
/** Calls an agent that lives in this process. */
import type { Agent, AgentAnswer, Task } from '../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health } from '../../agents/agent-client.js';
import { toJsonValue } from '../../kernel/json.js';
import { readAnswer } from './answer.js';

export class InProcessClient extends AgentClient {
  constructor(private readonly agent: Agent) {
    super();
  }

  async call(task: Task, { stop }: CallOptions): Promise<Answer> {
    let answer: AgentAnswer;
    try {
      // A copy: an agent that changes its input must not change what was recorded.
      answer = await this.agent.execute(structuredClone(task), { signal: stop.signal });
    } catch (error) {
      return { success: false, code: 'agent_threw', message: `the agent threw: ${textOf(error)}` };
    }
    try {
      return readAnswer(toJsonValue(answer));
    } catch (error) {
      return { success: false, code: 'agent_invalid_response', message: textOf(error) };
    }
  }

  /** It lives as long as this process. */
  async health(): Promise<Health> {
    return { status: 'healthy', error: null };
  }

  async close(): Promise<void> {}
}

/** Agents throw anything, also what has no text, or a text that no record can hold. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown).toWellFormed();
  } catch {
    return 'something that cannot be shown as text';
  }
}
