/**
 * The compressions under way in this process. Who asks for one that runs already shares it, so that a model is paid once; it is stopped when
 * nobody waits for it any more, and when the process ends. What is stopped has recorded nothing.
 */
import { OrchestratorError } from '../kernel/errors.js';
import type { Log } from '../kernel/log.system.js';
import type { Worker } from '../kernel/worker.js';
import type { StoredBlock } from './blocks.postgres.js';
import { addUsage, costOf, NO_USAGE, type Prices, type Usage } from './language-model.js';
import type { Progress } from './summarize.js';

interface Running<T> {
  readonly stop: AbortController;
  readonly told: Set<(progress: Progress) => void>;
  readonly result: Promise<T>;
  waiting: number;
}

export interface Waiter {
  /** Aborts when he does not wait any more. */
  readonly signal: AbortSignal;
  readonly report: (progress: Progress) => void;
}

export class Compressions implements Worker {
  readonly name = 'memory';
  private readonly running = new Map<string, Running<unknown>>();
  private closing = false;
  private usage = NO_USAGE;
  private readonly counts = { blocks: 0, by_model: 0, fallbacks: 0, last_fallback: null as string | null };

  constructor(
    private readonly model: string | null,
    private readonly prices: Prices,
    private readonly log: Log,
  ) {}

  start(): void {}

  share<T>(key: string, waiter: Waiter, work: (surroundings: Waiter) => Promise<T>): Promise<T> {
    if (this.closing)
      return Promise.reject(new OrchestratorError('shutting_down', 'the orchestrator is shutting down; nothing was recorded'));
    const running = (this.running.get(key) as Running<T> | undefined) ?? this.begin(key, work);
    running.waiting += 1;
    running.told.add(waiter.report);
    return new Promise<T>((resolve, reject) => {
      const leave = () => {
        running.waiting -= 1;
        running.told.delete(waiter.report);
        if (running.waiting === 0) {
          this.forget(key, running);
          running.stop.abort(new Error('nobody waits for the memory block any more'));
        }
        reject(waiter.signal.reason as Error);
      };
      waiter.signal.addEventListener('abort', leave, { once: true });
      if (waiter.signal.aborted) leave();
      void running.result.then(resolve, reject).finally(() => waiter.signal.removeEventListener('abort', leave));
    });
  }

  private begin<T>(key: string, work: (surroundings: Waiter) => Promise<T>): Running<T> {
    const stop = new AbortController();
    const told = new Set<(progress: Progress) => void>();
    const report = (progress: Progress) => {
      for (const tell of told) tell(progress);
    };
    const result = work({ signal: stop.signal, report });
    const running: Running<T> = { stop, told, result, waiting: 0 };
    this.running.set(key, running);
    // Who still waits has the error too.
    void result.catch(() => undefined).finally(() => this.forget(key, running));
    return running;
  }

  private forget(key: string, running: Running<unknown>): void {
    if (this.running.get(key) === running) this.running.delete(key);
  }

  spent(usage: Usage): void {
    this.usage = addUsage(this.usage, usage);
  }

  made({ id, stream, content }: StoredBlock): void {
    const { summarizer, fallback, model, parts, tokens_in, tokens_out, coverage, removed_total: removed } = content;
    this.log.info({ block: id, stream, summarizer, model, parts, tokens_in, tokens_out, coverage, removed }, 'memory block');
    this.counts.blocks += 1;
    if (summarizer === 'llm') this.counts.by_model += 1;
    if (fallback === null) return;
    this.counts.fallbacks += 1;
    this.counts.last_fallback = fallback;
  }

  async drain(): Promise<void> {
    this.closing = true;
    const left = [...this.running.values()];
    for (const { stop } of left)
      stop.abort(new OrchestratorError('shutting_down', 'the orchestrator is shutting down; nothing was recorded'));
    await Promise.allSettled(left.map(({ result }) => result));
  }

  /** Since the process started. */
  status(): Record<string, unknown> {
    const { input, output, cacheWrite, cacheRead } = this.usage;
    return {
      model: this.model,
      running: this.running.size,
      ...this.counts,
      tokens_in: input + cacheWrite + cacheRead,
      tokens_out: output,
      tokens_cached: cacheRead,
      cost: costOf(this.usage, this.prices),
    };
  }
}
