/** A run at an agent that may have to be called off: the agent is told, in the background and for a second at most, while the call settles at once. */
import { Stop } from '../../../agents/agent-client.js';

const TELL_MS = 1000;

export class OpenRun {
  /** Of the exchanges of this run. */
  readonly wire = new Stop();
  private id: string | null = null;
  private over = false;
  private abandoned: Error | null = null;

  /** `cancel` tells the agent. `patient`: hanging up cancels nothing there, so the wire is held until the agent has said which run it is. */
  constructor(
    private readonly cancel: (id: string, stop: Stop) => Promise<unknown>,
    private readonly patient: boolean,
  ) {}

  /** Settles with the answer, or rejects as soon as `stop` fires. */
  async until<T>(stop: Stop, answer: Promise<T>): Promise<T> {
    const stopped = new Promise<never>((_, reject) => {
      stop.onStop((why) => {
        this.abandon(why);
        reject(why);
      });
    });
    try {
      return await Promise.race([answer, stopped]);
    } finally {
      this.over = true;
    }
  }

  /** The agent has taken it up. */
  get begun(): boolean {
    return this.id !== null;
  }

  named(id: string): void {
    if (this.id !== null) return;
    this.id = id;
    if (this.abandoned) this.tell(this.abandoned, id);
  }

  private abandon(why: Error): void {
    if (this.over) return;
    this.abandoned = why;
    if (this.id !== null) this.tell(why, this.id);
    else if (this.patient) setTimeout(() => this.wire.stop(why), TELL_MS).unref();
    else this.wire.stop(why);
  }

  private tell(why: Error, id: string): void {
    this.wire.stop(why);
    const stop = new Stop();
    const timer = setTimeout(() => stop.stop(new Error(`not told within ${TELL_MS} ms`)), TELL_MS);
    this.cancel(id, stop)
      .catch(() => undefined) // it was told once, as well as could be
      .finally(() => clearTimeout(timer));
  }
}
