/** One round of forwarding: what is due of parked streams, and the next events. What became of them is written down in one transaction. */
import type { OrchestratorError } from '../kernel/errors.js';
import type { Database, Tx } from './database.postgres.js';
import { type Lease, moveLeasedCursor } from './follow.postgres.js';
import type { Forwarder, ForwardSettings } from './forward.worker.js';
import { Deliveries, type Strand, type Stuck } from './forward-lanes.system.js';
import { dueStreams, park, parkedAmong, shortenParked, unpark } from './park.postgres.js';
import { payloadSizes } from './payload.postgres.js';
import { type SequencedEvent, sequencedAfter, sequencedOfStream } from './read.postgres.js';

export const LEASE_LOST = 'the lease was lost or taken; what was under way is repeated';

/** Under pressure the embedded database, which has one connection, is not held for long. Elsewhere large batches are the cheaper ones. */
const SMALL_BATCH = 50;

export interface RoundResult {
  readonly delivered: number;
  /** The cursor after the round; null: there was nothing to do. */
  readonly cursor: number | null;
  /** The peer seems to be away. Nothing was written down, the round is to be done again. */
  readonly failure?: Error;
}

export class ForwardRound<Message> {
  /** Stream → last idx delivered in a round that did not end well; what need not be sent again. */
  private readonly ahead = new Map<string, number>();

  constructor(
    private readonly db: Database,
    private readonly forwarder: Forwarder<Message>,
    private readonly settings: ForwardSettings,
  ) {}

  forget(): void {
    this.ahead.clear();
  }

  async run(lease: Lease, signal: AbortSignal): Promise<RoundResult> {
    const { bytes, streams, pressed } = this.settings;
    const batch = this.db.embedded && pressed() ? Math.min(SMALL_BATCH, this.settings.batch) : this.settings.batch;
    const due = await this.dueStrands(lease.cursor);
    const events = await this.affordable(upToErasure(await sequencedAfter(this.db, lease.cursor, batch)), bytes);
    if (due.length === 0 && events.length === 0) return { delivered: 0, cursor: null };
    const strands = [...due, ...(await this.strandsOf(events))];
    const all = strands.flatMap((strand) => strand.events);
    const messages = await this.forwarder.prepare(all, this.db);
    const deliveries = new Deliveries(this.forwarder, messages, { count: streams, signal, pressed, ahead: this.ahead });
    const { stuck, delivered } = await deliveries.run(strands);
    const away = stuck.filter(({ alone }) => !alone);
    if (away.length > 0) return { delivered, cursor: lease.cursor, failure: away.map(({ error }) => error).reduce(longer) };
    const cursor = events.at(-1)?.idx ?? lease.cursor;
    const ends = new Map(stuck.map((one) => [one.strand, one]));
    await this.db.transaction(async (tx) => {
      // A cursor that a crash of the database loses means repeating, which is allowed; those who append need the disk more.
      await tx.query('SET LOCAL synchronous_commit = off');
      for (const strand of strands) await this.settle(tx, strand, ends.get(strand));
      if (!(await moveLeasedCursor(tx, this.forwarder.name, { cursor, token: lease.token }))) throw new Error(LEASE_LOST);
    });
    this.ahead.clear();
    return { delivered, cursor };
  }

  private async dueStrands(cursor: number): Promise<Strand[]> {
    const { batch, streams, bytes } = this.settings;
    const strands: Strand[] = [];
    for (const parked of await dueStreams(this.db, this.forwarder.name, streams)) {
      const read = await sequencedOfStream(this.db, parked.stream, { from: parked.from_idx, to: cursor, limit: batch });
      const events = await this.affordable(read, bytes / streams);
      strands.push({ stream: parked.stream, events, parked, more: read.length === batch || events.length < read.length });
    }
    return strands;
  }

  private async strandsOf(events: readonly SequencedEvent[]): Promise<Strand[]> {
    const streams = new Map<string, SequencedEvent[]>();
    for (const event of events) {
      const stream = streams.get(event.stream);
      if (stream) stream.push(event);
      else streams.set(event.stream, [event]);
    }
    for (const parked of await parkedAmong(this.db, this.forwarder.name, [...streams.keys()])) streams.delete(parked);
    return Array.from(streams, ([stream, own]) => ({ stream, events: own }));
  }

  /** As many of them, and one at least, as may be in memory at once. */
  private async affordable(events: readonly SequencedEvent[], bytes: number): Promise<readonly SequencedEvent[]> {
    if (events.length < 2) return events;
    const sizes = await payloadSizes(
      this.db,
      events.map((event) => event.id),
    );
    let left = bytes;
    const over = events.findIndex(({ id }, i) => {
      left -= sizes.get(id)?.bytes ?? 0;
      return left < 0 && i > 0;
    });
    return over < 0 ? events : events.slice(0, over);
  }

  private async settle(tx: Tx, { stream, parked, more, events }: Strand, stuck: Stuck | undefined): Promise<void> {
    const { name } = this.forwarder;
    if (stuck) {
      const tries = (parked?.from_idx === stuck.event.idx ? parked.tries : 0) + 1;
      return park(tx, name, { stream, idx: stuck.event.idx, error: stuck.error.message, tries, retrySeconds: this.retryIn(tries, stuck) });
    }
    if (!parked) return;
    await (more ? shortenParked(tx, name, stream, events.at(-1)!.idx + 1) : unpark(tx, name, stream));
  }

  /** Full jitter; null: refused so often that somebody must ask. */
  private retryIn(tries: number, { refused }: Stuck): number | null {
    const { pauseMs, tries: most } = this.settings;
    if (refused && tries >= most) return null;
    return (Math.random() * Math.min(pauseMs.most, pauseMs.first * 2 ** Math.min(tries, 30))) / 1000;
  }
}

/**
 * Streams are delivered side by side, but what was read before an erasure must not reach a peer after it: an erasure goes alone, when all
 * before it is delivered, or waits parked and is read again.
 */
function upToErasure(events: readonly SequencedEvent[]): readonly SequencedEvent[] {
  const at = events.findIndex(({ type }) => type === 'payload.erased');
  return at < 0 ? events : events.slice(0, Math.max(1, at));
}

/** Of several failures the one that asks to wait longest. */
const longer = (a: Error, b: Error) => (((b as OrchestratorError).retryAfter ?? 0) > ((a as OrchestratorError).retryAfter ?? 0) ? b : a);
