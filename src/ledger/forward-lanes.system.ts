/** Delivers streams side by side in a bounded number of lanes, the events of one stream in order. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Forwarder } from './forward.worker.js';
import type { Parked } from './park.postgres.js';
import type { SequencedEvent } from './read.postgres.js';

/** What is to be delivered of one stream in this round. */
export interface Strand {
  readonly stream: string;
  readonly events: readonly SequencedEvent[];
  /** The stream waited parked. */
  readonly parked?: Parked;
  /** More of it is due than this round takes. */
  readonly more?: boolean;
}

/** The event a strand ended at, and why. */
export interface Stuck {
  readonly strand: Strand;
  readonly event: SequencedEvent;
  readonly error: Error;
  /** It concerns this event alone: the peer said so, or took others after this one had failed, or it had stepped aside already. */
  readonly alone: boolean;
  readonly refused: boolean;
}

export interface Lanes {
  readonly count: number;
  readonly signal: AbortSignal;
  /** Somebody waits for this process: it has the first claim on its time. */
  readonly pressed: () => boolean;
  /** Stream → last idx delivered in a round that did not end well; what need not be sent again. */
  readonly ahead: Map<string, number>;
}

/** Under pressure a lane rests this many times as long as its last call took: forwarding then gets the smaller part of the time. */
const YIELD = 20;
const MOST_REST_MS = 250;

export class Deliveries<Message> {
  private delivered = 0;
  private readonly failed: { stuck: Omit<Stuck, 'alone'>; after: number }[] = [];

  constructor(
    private readonly forwarder: Forwarder<Message>,
    private readonly messages: ReadonlyMap<string, Message>,
    private readonly lanes: Lanes,
  ) {}

  /** Rejects only when told to stop. */
  async run(strands: readonly Strand[]): Promise<{ stuck: Stuck[]; delivered: number }> {
    const queue = [...strands];
    const lane = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) await this.strand(next);
    };
    const lanes = await Promise.allSettled(Array.from({ length: Math.min(this.lanes.count, queue.length) }, lane));
    const broken = lanes.find((one) => one.status === 'rejected');
    if (broken) throw broken.reason;
    const stuck = this.failed.map(({ stuck, after }) => ({
      ...stuck,
      alone: stuck.refused || stuck.strand.parked !== undefined || this.delivered > after,
    }));
    return { stuck, delivered: this.delivered };
  }

  private async strand(strand: Strand): Promise<void> {
    const { ahead, signal } = this.lanes;
    const from = ahead.get(strand.stream) ?? -1;
    for (const event of strand.events) {
      const message = this.messages.get(event.event_id);
      if (event.idx <= from || message === undefined) continue;
      signal.throwIfAborted();
      const error = await this.deliver(message);
      if (error) {
        this.failed.push({ stuck: { strand, event, ...error }, after: this.delivered });
        return;
      }
      this.delivered += 1;
      ahead.set(strand.stream, event.idx);
    }
  }

  private async deliver(message: Message): Promise<{ error: Error; refused: boolean } | null> {
    const { signal, pressed } = this.lanes;
    const began = performance.now();
    try {
      const outcome = await this.forwarder.deliver(message, signal);
      if (outcome !== 'delivered') return { error: new Error(outcome.refused), refused: true };
    } catch (error) {
      signal.throwIfAborted();
      return { error: error as Error, refused: false };
    }
    if (pressed()) await sleep(Math.min(MOST_REST_MS, YIELD * (performance.now() - began)), undefined, { signal }).catch(() => undefined);
    return null;
  }
}
