/** Forwards the contracts to a Trace: at least once, each session in its order. */
import type { Log } from '../../kernel/log.system.js';
import type { Tx } from '../../ledger/database.postgres.js';
import type { Forwarder } from '../../ledger/forward.worker.js';
import type { SequencedEvent } from '../../ledger/read.postgres.js';
import type { TraceClient } from './trace.client.js';
import { pathSegment, TRACE, type TraceMessage } from './trace-message.js';
import { traceMessages } from './trace-messages.postgres.js';

/** A Trace without the route for nodes. */
const NO_ROUTE = [404, 405, 501];

export class TraceForwarder implements Forwarder<TraceMessage> {
  readonly name = TRACE;
  private provenance = true;

  constructor(
    private readonly trace: TraceClient,
    private readonly log: Pick<Log, 'info' | 'warn'>,
  ) {}

  prepare(events: readonly SequencedEvent[], tx: Tx): Promise<ReadonlyMap<string, TraceMessage>> {
    return traceMessages(events, tx);
  }

  /** The node goes first: what is repeated after a failure in between is the node, which has an id, and not the event. */
  async deliver({ sid, event, node }: TraceMessage, signal: AbortSignal): Promise<'delivered' | { refused: string }> {
    let noRoute = false;
    if (node && this.provenance) {
      const answer = await this.trace.post('v1/provenance/node', node, signal);
      noRoute = 'refused' in answer && NO_ROUTE.includes(answer.status);
      if ('refused' in answer && !noRoute) return this.refused(`the node: ${answer.refused}`, signal);
    }
    const answer = await this.trace.post(`v1/sessions/${pathSegment(sid)}/events`, event, signal);
    if ('refused' in answer) return this.refused(`the event: ${answer.refused}`, signal);
    // Only now: it might have been something else that answered there.
    if (noRoute && this.provenance) {
      this.provenance = false;
      this.log.info({ url: this.trace.origin }, 'this Trace takes no provenance nodes; none are sent until the next start');
    }
    return 'delivered';
  }

  /** What is not Trace refuses everything, and must not have every session parked. */
  private async refused(what: string, signal: AbortSignal): Promise<{ refused: string }> {
    await this.trace.probe(signal);
    return { refused: `Trace refused ${what}` };
  }

  probe(signal: AbortSignal): Promise<void> {
    return this.trace.probe(signal);
  }

  begins(idx: number): void {
    const told = 'forwarding to Trace begins here; agent-orchestrator trace replay --from 0 sends what is older';
    this.log.info({ url: this.trace.origin, first_idx: idx }, told);
  }

  away(error: Error): void {
    this.log.warn({ url: this.trace.origin, why: error.message }, 'Trace is away; what happens meanwhile waits for it');
  }

  back(delivered: number): void {
    this.log.info({ url: this.trace.origin, delivered }, 'Trace is back and has what had waited');
  }

  close(): Promise<void> {
    return this.trace.close();
  }

  status(): Record<string, unknown> {
    return { url: this.trace.origin, breaker: this.trace.state, provenance: this.provenance };
  }
}
