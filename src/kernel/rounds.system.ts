/** Rounds of the same work, never two at once: by the clock, and soon after each kick. Any number of kicks during a round make one more. */
export class Rounds {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | null = null;
  private kicked = false;
  private stopped = false;
  /** Of the latest round; the next one tries again. */
  lastError: string | null = null;

  /** `restMs`: after each round, so that what goes on all the time is done in few of them. */
  constructor(
    private readonly round: () => Promise<void>,
    private readonly pace: { readonly pollMs: number; readonly restMs: number },
  ) {}

  start(): void {
    this.timer = setInterval(() => this.kick(), this.pace.pollMs);
    this.timer.unref();
  }

  kick(): void {
    this.kicked = true;
    if (this.stopped) return;
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
  }

  private async run(): Promise<void> {
    while (this.kicked && !this.stopped) {
      this.kicked = false;
      await this.once();
      if (!this.stopped) await new Promise((wake) => setTimeout(wake, this.pace.restMs).unref());
    }
  }

  /** A round outside the rhythm, such as the last one after `stop`. Its error is kept, not thrown. */
  async once(): Promise<void> {
    try {
      await this.round();
      this.lastError = null;
    } catch (error) {
      this.lastError = (error as Error).message;
    }
  }

  /** Resolves when the round that is under way has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running;
  }
}
