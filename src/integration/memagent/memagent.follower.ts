/** Passes memory blocks on to MemAgent, with the guarantees of every follower whose effect is outside: at least once, in order per session. */
import { sessionNames } from '../../contracts/sessions.postgres.js';
import { toldErasure } from '../../contracts/told-erasure.postgres.js';
import type { Log } from '../../kernel/log.system.js';
import type { Tx } from '../../ledger/database.postgres.js';
import type { Forwarder } from '../../ledger/forward.worker.js';
import type { SequencedEvent } from '../../ledger/read.postgres.js';
import { contentsOf, MEMAGENT } from '../../memory/blocks.postgres.js';
import type { Delivery, Forgetting, MemAgentClient } from './memagent.client.js';
import { memagentSession, notesOf } from './notes.js';

const INTENT = 'memory blocks of the agent orchestrator';

export class MemAgentForwarder implements Forwarder<Delivery | Forgetting> {
  readonly name = MEMAGENT;

  constructor(
    private readonly client: MemAgentClient,
    private readonly log: Log,
  ) {}

  async prepare(events: readonly SequencedEvent[], tx: Tx): Promise<ReadonlyMap<string, Delivery | Forgetting>> {
    return new Map<string, Delivery | Forgetting>([...(await this.blocksOf(events, tx)), ...(await this.erasuresOf(events, tx))]);
  }

  /** Single notes cannot be deleted there, so where a block goes the session goes. */
  private async erasuresOf(events: readonly SequencedEvent[], tx: Tx): Promise<[string, Forgetting][]> {
    const found: [string, Forgetting][] = [];
    for (const event of events) {
      const told = event.type === 'payload.erased' ? await toldErasure(tx, event) : null;
      if (!told || !(told.whole || told.blocks.length > 0)) continue;
      const names = told.streams.map((stream) => memagentSession(stream.slice(0, stream.indexOf('/')), told.session, stream));
      found.push([event.event_id, { forget: [...new Set(names)] }]);
    }
    return found;
  }

  /** Erased blocks have nothing left to pass on. */
  private async blocksOf(events: readonly SequencedEvent[], tx: Tx): Promise<ReadonlyMap<string, Delivery>> {
    const blocks = events.filter((event) => event.type === 'session.compressed');
    if (blocks.length === 0) return new Map();
    const contents = await contentsOf(tx, blocks);
    const names = await sessionNames(
      tx,
      blocks.map((event) => event.stream),
    );
    return new Map(
      contents.map(({ id, stream, content }) => {
        const session = memagentSession(stream.slice(0, stream.indexOf('/')), names.get(stream) ?? null, stream);
        return [id, { session, intent: content.intent ?? INTENT, notes: notesOf(content) }];
      }),
    );
  }

  /** What is not MemAgent refuses everything, and must not have every session set aside. */
  async deliver(delivery: Delivery | Forgetting, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    const outcome = await ('forget' in delivery ? this.client.forget(delivery, signal) : this.client.deliver(delivery, signal));
    if (outcome !== 'delivered') await this.client.probe(signal);
    return outcome;
  }

  probe(signal: AbortSignal): Promise<void> {
    return this.client.probe(signal);
  }

  away(): void {
    this.log.warn({ url: this.client.origin }, 'MemAgent is away; memory blocks wait for it');
  }

  back(delivered: number): void {
    this.log.info({ url: this.client.origin, delivered }, 'MemAgent is back and has what had waited');
  }

  status(): Record<string, unknown> {
    return { url: this.client.origin };
  }
}
