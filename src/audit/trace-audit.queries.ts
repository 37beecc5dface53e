/** Reads a session back from Trace and compares it with the ledger. */
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import { Database, type Tx } from '../ledger/database.postgres.js';
import { type FollowerRow, followers } from '../ledger/follow.postgres.js';
import { type Parked, parkedStreams } from '../ledger/park.postgres.js';
import { type PlacedEvent, placedOfStream } from '../ledger/read.postgres.js';
import { type CopiedEvent, type Passage, type TraceAudit, TraceComparison } from './trace-audit.js';

/** The copy of our contracts at a Trace. */
export abstract class TraceCopy {
  /** The name of the follower that keeps it. */
  abstract readonly follower: string;
  /** What Trace should hold of these events, by event id; an event it is not told of is absent. */
  abstract expected(events: readonly PlacedEvent[], tx: Tx): Promise<ReadonlyMap<string, CopiedEvent>>;
  /** What Trace holds of the session whose newest stream this is. Rejects with `integration_unavailable`. */
  abstract held(stream: string, name: string): Promise<CopiedEvent[]>;
}

export class AuditTrace extends Query<TraceAudit> {
  constructor(
    readonly tenant: string,
    readonly session: string,
  ) {
    super();
  }
}

const PAGE = 100;

@QueryHandler(AuditTrace)
export class AuditTraceHandler implements IQueryHandler<AuditTrace> {
  constructor(
    private readonly copy: TraceCopy,
    private readonly sessions: Sessions,
    private readonly db: Database,
  ) {}

  async execute({ tenant, session }: AuditTrace): Promise<TraceAudit> {
    const row = await this.sessions.find(tenant, session);
    if (!row) throw new OrchestratorError('not_found', `there is no session "${session}"`);
    const comparison = new TraceComparison(await this.copy.held(row.stream, session));
    // Read after the copy: what is passed by now, and not in it, was passed without reaching it.
    const parked = await parkedStreams(this.db, this.copy.follower);
    const follower = (await followers(this.db)).find(({ name }) => name === this.copy.follower);
    for (const stream of [...row.earlier, row.stream]) {
      const at = parked.find((one) => one.stream === stream);
      for (let after = 0; ; ) {
        const events = await placedOfStream(this.db, stream, after, PAGE);
        if (events.length === 0) break;
        const expected = await this.copy.expected(events, this.db);
        for (const { event_id, seq, idx } of events) {
          const copy = expected.get(event_id);
          if (copy) comparison.compare({ event_id, seq, copy, passage: passageOf(idx, follower, at) });
        }
        after = events.at(-1)!.seq;
      }
    }
    return comparison.result(session);
  }
}

function passageOf(idx: number | null, follower: FollowerRow | undefined, parked: Parked | undefined): Passage {
  if (idx === null || !follower || idx > follower.cursor) return 'waiting';
  return parked && idx >= parked.from_idx ? 'parked' : 'passed';
}
