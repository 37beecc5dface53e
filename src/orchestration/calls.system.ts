/**
 * The calls under way in this process: each bounded by its deadline, each stoppable, all of them waited for when the process ends. An
 * agent that does not stop when told is left behind; its late answer goes nowhere.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Task } from '../agents/agent.js';
import { type AgentClient, type Said as AgentSaid, type Answer, type CallOptions, type Progress, Stop } from '../agents/agent-client.js';
import { completed, failed, type Outcome, type Said } from '../contracts/contract.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { Metrics } from '../kernel/metrics.system.js';
import type { Trace } from '../kernel/trace.js';
import { UnderWay } from '../kernel/under-way.js';
import { ORCHESTRATION_SETTINGS, type OrchestrationSettings } from './orchestration.settings.js';
import type { Ended } from './retry.js';
import { Waits } from './waits.system.js';

/** Somebody follows the call while it runs. */
export interface Listener {
  /** Must not throw. Absent: nobody wants to hear how it goes. */
  readonly progress?: ((progress: Progress) => void) | undefined;
  /** Stopped when he is gone, or the task is cancelled: the call is then cancelled at the agent. */
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
  private readonly running = new UnderWay<{ stop: (outcome: Outcome) => void; stream: string }>();
  private accepted = 0;
  private closing = false;
  /** How calls end that begin when the time to finish is over. */
  private overtime: Outcome | null = null;
  private idle: () => void = () => undefined;

  constructor(
    private readonly metrics: Metrics,
    private readonly waits: Waits,
    @Inject(ORCHESTRATION_SETTINGS) private readonly settings: Pick<OrchestrationSettings, 'MAX_CONCURRENT_REQUESTS'>,
  ) {}

  get count(): number {
    return this.accepted;
  }

  /** So many are accepted at a time, those that wait not counted. */
  get most(): number {
    return this.settings.MAX_CONCURRENT_REQUESTS;
  }

  /** The process is ending: new work is refused. */
  get draining(): boolean {
    return this.closing;
  }

  /** Of the accepted ones, those that wait for an agent or for their next attempt. */
  get waiting(): number {
    return this.waits.count;
  }

  /** Counts work from before its REQUEST until after its RESPONSE; refuses it once the process is ending, or has as much as it takes. */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing) throw shuttingDown();
    if (this.accepted - this.waits.pieces >= this.most) {
      const message = `${this.most} tasks are under way, as many as this process takes; nothing was recorded, try again`;
      throw new OrchestratorError('overloaded', message, { retryAfter: 1 });
    }
    this.accepted += 1;
    try {
      return await work();
    } finally {
      this.accepted -= 1;
      if (this.accepted === 0) this.idle();
    }
  }

  /** Counts a further piece of something that was admitted. */
  async alongside<T>(work: () => Promise<T>): Promise<T> {
    this.accepted += 1;
    try {
      return await work();
    } finally {
      this.accepted -= 1;
    }
  }

  /** Calls the agent. Settles at the deadline at the latest. */
  async run(call: Call): Promise<Ended> {
    const started = performance.now();
    try {
      const outcome = await this.settle(call);
      this.metrics.called(call.agent, outcome.status, (performance.now() - started) / 1000);
      return outcome;
    } finally {
      this.running.end(call.task.task_id);
    }
  }

  /** On the path of every call: one promise, and no object that is copied member by member. */
  private settle({ client, task, trace, stream, milliseconds, continuation, listener }: Call): Promise<Ended> {
    const stop = new Stop();
    let over = false;
    const options: { -readonly [K in keyof CallOptions]: CallOptions[K] } = { stop, trace };
    if (continuation !== undefined) options.continuation = continuation;
    const told = listener?.progress;
    if (told) options.progress = (progress: Progress) => over || told(progress);
    return new Promise<Ended>((resolve, reject) => {
      const settled = (outcome: Ended) => {
        over = true;
        clearTimeout(timer);
        resolve(outcome);
      };
      const end = (outcome: Outcome) => {
        settled(outcome);
        stop.stop(new Error(outcome.message));
      };
      const timer = setTimeout(
        () => end(failed('agent_timeout', `the agent did not answer within ${Math.round(milliseconds / 10) / 100} s`)),
        milliseconds,
      );
      listener?.gone.onStop((why) => end(failed('cancelled', why.message)));
      if (this.overtime) end(this.overtime);
      if (over) return; // nobody waits for it any more: the agent is not called
      this.running.begin(task.task_id, { stop: end, stream });
      client.call(task, options).then(
        (answer) => settled(outcomeOf(answer)),
        (error: unknown) => {
          over = true;
          clearTimeout(timer);
          reject(error);
        },
      );
    });
  }

  /** What is under way for longer than one call ends with its session, and with the process, too. Returns what takes it out again. */
  hold(id: string, stream: string, stop: (outcome: Outcome) => void): () => void {
    this.running.begin(id, { stop, stream });
    return () => void this.running.end(id);
  }

  /** The session was closed over running calls. */
  cancelSession(stream: string): void {
    for (const call of this.running.all()) {
      if (call.stream === stream) call.stop(failed('cancelled', 'the session was closed while the agent worked'));
    }
  }

  /** No new work; what runs may finish within `milliseconds`, the rest is recorded as interrupted. Resolves when all of it is recorded. */
  async drain(milliseconds: number): Promise<void> {
    this.closing = true;
    this.waits.close();
    if (this.accepted === 0) return;
    const done = new Promise<void>((resolve) => {
      this.idle = resolve;
    });
    const timer = setTimeout(() => {
      const outcome = failed('interrupted', 'the orchestrator was stopped while the agent worked; whether it acted is unknown');
      this.overtime = outcome;
      // Calls before the plan they belong to, which would cancel them.
      for (const { stop } of this.running.all().reverse()) stop(outcome);
    }, milliseconds);
    await done;
    clearTimeout(timer);
  }
}

export const shuttingDown = () =>
  new OrchestratorError('shutting_down', 'the orchestrator is shutting down; nothing was recorded, try again', { retryAfter: 5 });

function outcomeOf(answer: Answer): Ended {
  if (answer.success) return completed(answer.data, said(answer));
  const { code, message, data, fault } = answer;
  const outcome = failed(code, message, { ...said(answer), ...(data !== undefined && { result: data }) });
  return fault ? { ...outcome, fault } : outcome;
}

/** Member by member: what else an adapter may have put there is not recorded. */
function said({ text, files, raw, read, continuation }: AgentSaid): Said {
  const kept: { -readonly [K in keyof Said]: Said[K] } = {};
  if (text !== undefined) kept.text = text;
  if (files !== undefined) kept.files = files.map((file) => ({ ...file }));
  if (raw !== undefined) kept.raw = raw;
  if (read !== undefined) kept.read = read;
  if (continuation !== undefined) kept.continuation = continuation;
  return kept;
}
