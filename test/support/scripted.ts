/** Agents over HTTP that do with each call what their script says. */
import { type Manner, type Peer, says, startPeer } from './peer.js';

export const good = says('{"success":true,"data":"done"}');
export const breaks = says('{"success":false}', 500);
export const busy = (after?: number, status = 429) => says('', status, after === undefined ? {} : { 'retry-after': String(after) });

export class Script {
  /** What is done with the next calls of a capability; the last manner stays. Without one every call goes well. */
  readonly manners: Record<string, Manner[]> = {};
  /** When each was called for. */
  readonly times: Record<string, number[]> = {};

  constructor(private readonly capabilities: readonly string[]) {}

  asked(capability: string): number {
    return this.times[capability]?.length ?? 0;
  }

  /** Several may play the same script. */
  start(): Promise<Peer> {
    const manner =
      (capability: string): Manner =>
      (response, task) => {
        this.times[capability] = [...(this.times[capability] ?? []), Date.now()];
        const manners = this.manners[capability] ?? [good];
        (manners.length > 1 ? manners.shift()! : manners[0]!)(response, task);
      };
    return startPeer(Object.fromEntries(this.capabilities.map((capability) => [capability, manner(capability)])));
  }

  clear(): void {
    for (const each of [this.manners, this.times]) for (const key of Object.keys(each)) delete each[key];
  }
}

/** Answers when it is told to. */
export class Held {
  readonly waiting: (() => void)[] = [];
  most = 0;
  readonly manner: Manner = (response, task) => {
    this.waiting.push(() => good(response, task));
    this.most = Math.max(this.most, this.waiting.length);
  };
  release(): void {
    this.waiting.shift()!();
  }
}
