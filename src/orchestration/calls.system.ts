/**
 * The calls under way in this process: each bounded by its deadline, each stoppable, all of them waited for when the process ends. An
 * agent that does not stop when told is left behind; its late answer goes nowhere.
 */
import { Injectable } from '@nestjs/common';
import type { Task } from '../agents/agent.js';
import { type AgentClient, type Said as AgentSaid, type CallOptions, type Progress, Stop } from '../agents/agent-client.js';
import { completed, failed, type Outcome, type Said } from '../contracts/contract.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { Metrics } from '../kernel/metrics.system.js';
import type { Trace } from '../kernel/trace.js';

/** Somebody follows the call while it runs. */
export interface Listener {
  /** Must not throw. */
  progress(progress: Progress): void;
  /** Stopped when he is gone: the call is then cancelled at the agent. */
  readonly gone: Stop;
}

export interface Call {
  readonly agent: string;
  readonly client: AgentClient;
  readonly task: Task;
  readonly trace: Trace | null;
  readonly stream: string;
  readonly milliseconds: number;
  readonly continuation?: JsonValue | undefined;
  readonly listener?: Listener | undefined;
}

@Injectable()
export class Calls {
  private readonly running = new Map<string, { stop: (outcome: Outcome) => void; stream: string }>();
  private accepted = 0;
  private closing = false;
  private idle: () => void = () => undefined;

  constructor(private readonly metrics: Metrics) {}

  get count(): number {
    return this.accepted;
  }

  /** The process is ending: new work is refused. */
  get draining(): boolean {
    return this.closing;
  }

  /** Counts work from before its REQUEST until after its RESPONSE; refuses it once the process is ending. */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing)
      throw new OrchestratorError('shutting_down', 'the orchestrator is shutting down; nothing was recorded, try again', { retryAfter: 5 });
    this.accepted += 1;
    try {
      return await work();
    } finally {
      this.accepted -= 1;
      if (this.accepted === 0) this.idle();
    }
  }

  /** Calls the agent. Settles at the deadline at the latest. */
  async run(call: Call): Promise<Outcome> {
    const started = performance.now();
    try {
      const outcome = await this.settle(call);
      this.metrics.called(call.agent, outcome.status, (performance.now() - started) / 1000);
      return outcome;
    } finally {
      this.running.delete(call.task.task_id);
    }
  }

  private settle({ client, task, trace, stream, milliseconds, continuation, listener }: Call): Promise<Outcome> {
    const stop = new Stop();
    let over = false;
    const options: CallOptions = {
      stop,
      trace,
      ...(continuation !== undefined && { continuation }),
      ...(listener && { progress: (progress: Progress) => over || listener.progress(progress) }),
    };
    return new Promise<Outcome>((resolve, reject) => {
      const end = (outcome: Outcome) => {
        over = true;
        resolve(outcome);
        stop.stop(new Error(outcome.message));
      };
      listener?.gone.onStop((why) => end(failed('cancelled', why.message)));
      if (over) return; // nobody waits for it any more: the agent is not called
      const timer = setTimeout(
        () => end(failed('agent_timeout', `the agent did not answer within ${milliseconds / 1000} s`)),
        milliseconds,
      );
      this.running.set(task.task_id, { stop: end, stream });
      answered(client, task, options)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    }).finally(() => {
      over = true;
    });
  }

  /** The session was closed over running calls. */
  cancelSession(stream: string): void {
    for (const call of this.running.values()) {
      if (call.stream === stream) call.stop(failed('cancelled', 'the session was closed while the agent worked'));
    }
  }

  /** No new work; what runs may finish within `milliseconds`, the rest is recorded as interrupted. Resolves when all of it is recorded. */
  async drain(milliseconds: number): Promise<void> {
    this.closing = true;
    if (this.accepted === 0) return;
    const done = new Promise<void>((resolve) => {
      this.idle = resolve;
    });
    const timer = setTimeout(() => {
      const outcome = failed('interrupted', 'the orchestrator was stopped while the agent worked; whether it acted is unknown');
      for (const { stop } of this.running.values()) stop(outcome);
    }, milliseconds);
    await done;
    clearTimeout(timer);
  }
}

async function answered(client: AgentClient, task: Task, options: CallOptions): Promise<Outcome> {
  const answer = await client.call(task, options);
  if (answer.success) return completed(answer.data, said(answer));
  return failed(answer.code, answer.message, { ...said(answer), ...(answer.data !== undefined && { result: answer.data }) });
}

/** Member by member: what else an adapter may have put there is not recorded. */
function said({ text, files, raw, read, continuation }: AgentSaid): Said {
  return {
    ...(text !== undefined && { text }),
    ...(files !== undefined && { files: files.map((file) => ({ ...file })) }),
    ...(raw !== undefined && { raw }),
    ...(read !== undefined && { read }),
    ...(continuation !== undefined && { continuation }),
  };
}
