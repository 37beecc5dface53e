/**
 * Tasks that wait while nothing of theirs is open on the record: for an agent that is busy or stopped, or out the pause before their next
 * attempt. Whatever they wait for, they wait no longer than until their deadline, their caller is gone, or the process ends.
 */
import { Injectable } from '@nestjs/common';
import type { Stop } from '../agents/agent-client.js';

/** Who waits. */
export interface Waiting {
  readonly task: string;
  readonly follower?: { readonly gone: Stop } | undefined;
}

export type Woken = 'woken' | 'late' | 'gone' | 'closing';

@Injectable()
export class Waits {
  private readonly waiting = new Set<(why: Woken) => void>();
  /** By task: several pieces of one may wait. */
  private readonly tasks = new Map<string, number>();
  private closed = false;

  /** Tasks of which at least a piece waits. */
  get count(): number {
    return this.tasks.size;
  }

  get pieces(): number {
    return this.waiting.size;
  }

  /** `until`: milliseconds since 1970. `watch` gets what ends the wait, for later, and returns how to take that back. */
  wait({ task, follower }: Waiting, until: number, watch?: (wake: () => void) => () => void): Promise<Woken> {
    if (this.closed) return Promise.resolve('closing');
    return new Promise((resolve) => {
      let forget: (() => void) | undefined;
      const end = (why: Woken) => {
        if (!this.waiting.delete(end)) return;
        clearTimeout(timer);
        forget?.();
        this.counted(task, -1);
        resolve(why);
      };
      this.waiting.add(end);
      this.counted(task, 1);
      const timer = setTimeout(end, Math.max(0, until - Date.now()), 'late');
      forget = watch?.(() => end('woken'));
      follower?.gone.onStop(() => end('gone'));
    });
  }

  private counted(task: string, change: 1 | -1): void {
    const waiting = (this.tasks.get(task) ?? 0) + change;
    if (waiting > 0) this.tasks.set(task, waiting);
    else this.tasks.delete(task);
  }

  /** The process is ending: nobody waits any more. */
  close(): void {
    this.closed = true;
    for (const end of this.waiting) end('closing');
  }
}
