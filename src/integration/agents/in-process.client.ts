/// <reference lib="es2024.string" />
/** Calls an agent that lives in this process. */
import type { Agent, AgentAnswer, Task } from '../../agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health, type Progress } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { toJsonValue } from '../../kernel/json.js';
import { MAX_ANSWER_BYTES, readAnswer } from './answer.js';

const MAX_ERROR_CHARACTERS = 4000;

export class InProcessClient extends AgentClient {
  constructor(private readonly agent: Agent) {
    super();
  }

  async call(task: Task, { stop, progress = unheard }: CallOptions): Promise<Answer> {
    let answer: AgentAnswer;
    try {
      // A copy: an agent that changes its input must not change what was recorded.
      const tell = (told: Progress) => progress(checked(told));
      answer = await this.agent.execute(structuredClone(task), { signal: stop.signal, progress: tell });
    } catch (error) {
      return { success: false, code: 'agent_threw', message: `the agent threw: ${textOf(error)}` };
    }
    try {
      return readAnswer(toJsonValue(answer, MAX_ANSWER_BYTES));
    } catch (error) {
      const large = error instanceof OrchestratorError && error.code === 'payload_too_large';
      return { success: false, code: large ? 'agent_response_too_large' : 'agent_invalid_response', message: textOf(error) };
    }
  }

  /** As well as the process that asks. */
  async health(): Promise<Health> {
    return { status: 'healthy', error: null };
  }

  async close(): Promise<void> {}
}

const unheard = (): void => undefined;

/** The same words whoever listens; an agent that says something else shall learn it where it says it. */
function checked(told: Progress | undefined): Progress {
  const { status, delta } = (told ?? {}) as { status?: unknown; delta?: unknown };
  if (typeof status === 'string') return { status };
  if (typeof delta === 'string') return { delta };
  throw new TypeError('progress takes {status: text} or {delta: text}');
}

/** Agents throw anything, also what has no text, or a text that no record can hold. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
      .slice(0, MAX_ERROR_CHARACTERS)
      .toWellFormed();
  } catch {
    return 'something that cannot be shown as text';
  }
}
