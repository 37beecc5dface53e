/** Legal holds: as long as one stands, nothing it covers is erased. Placing and releasing are events of the tenant's system stream. */
import { Command, CommandHandler, type ICommandHandler, type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { Sessions, sessionNames } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { streamsToHold } from '../ledger/erasure.js';
import { Erasures } from './erasures.worker.js';
import { type Hold, SystemStream, standingHolds } from './system-stream.postgres.js';

/** A hold, with the session it covers by its name. */
export interface ShownHold extends Hold {
  /** null: everything of the tenant. */
  readonly session_id: string | null;
}

interface Why {
  readonly reason: string;
  readonly requested_by: string;
}

export class PlaceHold extends Command<ShownHold> {
  constructor(
    readonly caller: Caller,
    /** undefined: everything of the tenant. */
    readonly session: string | undefined,
    readonly why: Why,
  ) {
    super();
  }
}

@CommandHandler(PlaceHold)
export class PlaceHoldHandler implements ICommandHandler<PlaceHold> {
  constructor(
    private readonly sessions: Sessions,
    private readonly system: SystemStream,
    private readonly erasures: Erasures,
  ) {}

  async execute({ caller: { tenant, principal }, session, why }: PlaceHold): Promise<ShownHold> {
    const row = session === undefined ? null : await this.sessions.find(tenant, session);
    if (row === undefined) throw new OrchestratorError('not_found', `there is no session "${session}"`);
    const streams = row && streamsToHold([...row.earlier, row.stream]);
    const draft = newDraft('hold.placed', streams ? { streams } : {}, { ...why, principal: principal ?? undefined });
    await this.system.append(tenant, [draft], async () => {
      // What is ordered to be erased already cannot be held: once that is carried out, the name of a session is gone with it.
      await this.erasures.finish(tenant);
      if (session !== undefined && !(await this.sessions.find(tenant, session)))
        throw new OrchestratorError('not_found', `there is no session "${session}" any more`);
    });
    return { hold_id: draft.id, placed_at: draft.time, streams, session_id: session ?? null, ...why };
  }
}

export class ReleaseHold extends Command<{ hold_id: string; released_at: string }> {
  constructor(
    readonly caller: Caller,
    readonly hold: string,
    readonly why: Why,
  ) {
    super();
  }
}

@CommandHandler(ReleaseHold)
export class ReleaseHoldHandler implements ICommandHandler<ReleaseHold> {
  constructor(
    private readonly db: Database,
    private readonly system: SystemStream,
  ) {}

  async execute({ caller: { tenant, principal }, hold, why }: ReleaseHold) {
    const draft = newDraft('hold.released', { cause: hold }, { ...why, principal: principal ?? undefined });
    await this.system.append(tenant, [draft], async () => {
      const standing = await standingHolds(this.db, tenant);
      if (!standing.some(({ hold_id }) => hold_id === hold)) throw new OrchestratorError('not_found', `no legal hold ${hold} stands`);
    });
    return { hold_id: hold, released_at: draft.time };
  }
}

export class ListHolds extends Query<ShownHold[]> {
  constructor(readonly tenant: string) {
    super();
  }
}

@QueryHandler(ListHolds)
export class ListHoldsHandler implements IQueryHandler<ListHolds> {
  constructor(private readonly db: Database) {}

  async execute({ tenant }: ListHolds): Promise<ShownHold[]> {
    const holds = await standingHolds(this.db, tenant);
    const names = await sessionNames(
      this.db,
      holds.flatMap(({ streams }) => streams ?? []),
    );
    return holds.map((hold) => ({ ...hold, session_id: names.get(hold.streams?.at(-1) ?? '') ?? null }));
  }
}
