/**
 * Finishes erasures: those just asked for, and those that a crash left recorded but not carried out. Every replica looks; all of it may be
 * done twice. Also lets the caches of this process forget sessions that another one erased, and erased names once the peers know.
 */
import { Sessions } from '../contracts/sessions.postgres.js';
import type { Worker } from '../kernel/worker.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { type CarriedOut, carryOut, erasedLately, forgetTold, markDone, noteErasures, unfinished } from '../ledger/erase.postgres.js';
import { disclosedValues, payloadsNamed } from '../ledger/payload.postgres.js';
import { blocksAfter, blocksQuoting } from '../memory/blocks.postgres.js';
import { SystemStream } from './system-stream.postgres.js';

const LOOK_MS = 5000;
/** On a server another replica may be about to finish it. */
const LEFT_SECONDS = 30;

export class Erasures implements Worker {
  readonly name = 'erasures';
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | null = null;
  private finished = 0;
  private lastError: string | null = null;

  constructor(
    private readonly db: Database,
    private readonly system: SystemStream,
    private readonly sessions: Sessions,
    /** Names of the followers that tell somebody outside. */
    readonly peers: readonly string[],
  ) {}

  async start(): Promise<void> {
    await this.look();
    this.timer = setInterval(() => void this.look(), LOOK_MS);
    this.timer.unref();
  }

  look(): Promise<void> {
    this.looking ??= this.tidy().finally(() => {
      this.looking = null;
    });
    return this.looking;
  }

  private async tidy(): Promise<void> {
    try {
      await this.finishAll(await unfinished(this.db, this.db.embedded ? 0 : LEFT_SECONDS));
      await forgetTold(this.db, this.peers);
      this.sessions.forgetStreams(await erasedLately(this.db, (LOOK_MS / 1000) * 3));
      this.lastError = null;
    } catch (error) {
      this.lastError = (error as Error).message; // the next look tries again
    }
  }

  /** What is recorded for the tenant and not done, whoever began it. */
  async finish(tenant: string): Promise<void> {
    await this.finishAll(await unfinished(this.db, 0, tenant));
  }

  private async finishAll(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.complete(id);
    this.finished += ids.length;
  }

  /** Carries out the payload.erased event with this id. A memory block that was recorded meanwhile, of what goes, goes too. */
  async complete(id: string): Promise<void> {
    const done = await carryOut(this.db, id);
    if (!done) return;
    const { event, order, streams } = done;
    const events = [...order.events, ...order.disclosures.map((one) => one.event)];
    // The order explains only what was there before it.
    const find = () => (order.streams.length > 0 ? blocksAfter(this.db, order.streams, event.id) : blocksQuoting(this.db, streams, events));
    for (let left = await find(); left.length > 0; left = await find()) await this.alsoErase(left, done);
    this.sessions.forgetStreams(order.streams);
    await markDone(this.db, id);
  }

  private async alsoErase(events: string[], { event }: CarriedOut): Promise<void> {
    const reasons = await payloadsNamed(this.db, [event.id], 'basis', 'requested_by', 'principal');
    const draft = newDraft('payload.erased', { cause: event.event_id, events }, disclosedValues(reasons.get(event.id)));
    const tenant = event.stream.slice(0, event.stream.indexOf('/'));
    await noteErasures(this.db, [draft.id], { tenant, session: null });
    await this.system.append(tenant, [draft], async () => undefined); // decided with the erasure it follows from
    await carryOut(this.db, draft.id);
    await markDone(this.db, draft.id);
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  status(): Record<string, unknown> {
    return { finished_after_others: this.finished, last_error: this.lastError };
  }
}
