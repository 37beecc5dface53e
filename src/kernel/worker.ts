/** Something that owns a loop: started once, drained before the process ends, shown in /v1/status. */
export interface Worker {
  readonly name: string;
  start(): void | Promise<void>;
  /** Resolves when nothing of it runs any more; what it had accepted is finished. Safe to call twice. */
  drain(): Promise<void>;
  status(): Record<string, unknown>;
}

/** All workers of the process, started in this order and drained in the opposite one. */
export class Workers {
  constructor(private readonly workers: readonly Worker[]) {}

  async start(): Promise<void> {
    for (const worker of this.workers) await worker.start();
  }

  async drain(): Promise<void> {
    for (const worker of [...this.workers].reverse()) await worker.drain();
  }

  status(): Record<string, Record<string, unknown>> {
    return Object.fromEntries(this.workers.map((worker) => [worker.name, worker.status()]));
  }
}
