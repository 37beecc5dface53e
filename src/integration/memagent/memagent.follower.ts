/** Passes memory blocks on to MemAgent, with the guarantees of every follower whose effect is outside: at least once, in order per session. */
import { sessionNames } from '../../contracts/sessions.postgres.js';
import type { Database, Tx } from '../../ledger/database.postgres.js';
import type { Forwarder } from '../../ledger/forward.worker.js';
import type { SequencedEvent } from '../../ledger/read.postgres.js';
import { contentsOf, MEMAGENT } from '../../memory/blocks.postgres.js';
import type { Delivery, MemAgentClient } from './memagent.client.js';
import { memagentSession, notesOf } from './notes.js';

const INTENT = 'memory blocks of the agent orchestrator';

export class MemAgentForwarder implements Forwarder {
  readonly name = MEMAGENT;
  private failed = false;

  constructor(
    private readonly db: Database,
    private readonly client: MemAgentClient,
  ) {}

  async deliver(event: SequencedEvent, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    if (event.type !== 'session.compressed') return 'delivered';
    const delivery = (await this.prepare([event], this.db)).get(event.event_id);
    if (!delivery) return 'delivered';
    if (this.failed) await this.client.probe(signal);
    this.failed = true;
    const outcome = await this.client.deliver(delivery, signal);
    this.failed = false;
    return outcome;
  }

  /** Erased blocks have nothing left to pass on. */
  private async prepare(events: readonly SequencedEvent[], tx: Tx): Promise<Map<string, Delivery>> {
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
}
