/**
 * Erases a session, some of its contracts, or some of their fields. The record stays, and says that something was erased, by whose wish and
 * on which ground; a whole session takes its data keys and its name along. Whoever asks is answered when it is done.
 */
import { Command, CommandBus, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { CloseSession } from '../contracts/contracts.commands.js';
import { type SessionRow, Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { dropNotes, noteErasures } from '../ledger/erase.postgres.js';
import { membersOf, membersOfWhole } from '../ledger/erasure.js';
import { keysOfStreams } from '../ledger/keys.postgres.js';
import type { Draft, Members } from '../ledger/record.js';
import { type Part, planOf } from './erase-plan.postgres.js';
import { Erasures } from './erasures.worker.js';
import { refuseHeld, SystemStream } from './system-stream.postgres.js';

export interface EraseRequest extends Part {
  readonly session: string;
  /** On which legal or contractual ground, in words. */
  readonly basis: string;
  readonly requested_by: string;
  /** End what is still open first; only for a whole session. */
  readonly cancel?: boolean;
}

export interface Erased {
  readonly session_id: string;
  /** The whole session: its payload, its name and its keys. */
  readonly whole: boolean;
  /** Ids of the payload.erased events; none: nothing of it was left. */
  readonly erasures: readonly string[];
  /** Events that lost payload now. */
  readonly events: number;
  readonly memory_blocks: readonly string[];
  readonly keys_destroyed: readonly string[];
  /** Contracts of the same tasks that were not named and keep theirs: further attempts with the same parameters, for example. */
  readonly left_of_tasks: readonly string[];
  /** Peers that have copies and are told: what they do with them is theirs. */
  readonly told: readonly string[];
  readonly out_of_reach: readonly string[];
}

/** What no orchestrator can fetch back. docs/privacy.md says more of each. */
export const OUT_OF_REACH = [
  'what agents and language models were sent',
  'bundles and exports that were handed out',
  'backups and replicas of the database, and its write-ahead log, until they age out',
  'log files, which name sessions',
] as const;

/** A single record of the ledger is written in one go; what needs more of them is asked for in parts. */
const MOST_RECORDS = 50;

export class EraseSession extends Command<Erased> {
  constructor(
    readonly caller: Pick<Caller, 'tenant' | 'principal'>,
    readonly request: EraseRequest,
  ) {
    super();
  }
}

@CommandHandler(EraseSession)
export class EraseSessionHandler implements ICommandHandler<EraseSession> {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
    private readonly commands: CommandBus,
    private readonly system: SystemStream,
    private readonly erasures: Erasures,
  ) {}

  async execute({ caller, request }: EraseSession): Promise<Erased> {
    await this.erasures.finish(caller.tenant);
    const row = await this.find(caller.tenant, request.session);
    const whole = request.contracts === undefined && request.fields === undefined;
    return whole ? this.whole(caller, request, row) : this.part(caller, request, row);
  }

  private async whole(caller: EraseSession['caller'], request: EraseRequest, found: SessionRow): Promise<Erased> {
    await refuseHeld(this.db, caller.tenant, streamsOf(found));
    await this.close(caller.tenant, request);
    const row = await this.find(caller.tenant, request.session);
    if (row.stream !== found.stream) return this.whole(caller, request, row); // idleness had sealed it, and it went on
    const streams = streamsOf(row);
    const keys = await keysOfStreams(this.db, streams);
    const erasures = await this.record(caller, request, { streams, members: membersOfWhole(streams, keys) });
    const keys_destroyed = keys.map(({ key_id }) => key_id);
    // Idleness had sealed it, and it went on before its name was gone: what has come since belongs to it, and goes too.
    const now = await this.sessions.find(caller.tenant, request.session);
    if (now?.earlier.includes(row.stream)) {
      const more = await this.whole(caller, request, now);
      return { ...more, erasures: [...erasures, ...more.erasures], keys_destroyed: [...keys_destroyed, ...more.keys_destroyed] };
    }
    const [heads] = await this.db.query<{ n: number }>(
      'SELECT coalesce(sum(seq), 0)::bigint AS n FROM stream_head WHERE stream = ANY($1::text[])',
      [streams],
    );
    return this.answer(request, { whole: true, erasures, events: heads!.n, memory_blocks: [], keys_destroyed, left_of_tasks: [] });
  }

  private async part(caller: EraseSession['caller'], request: EraseRequest, row: SessionRow): Promise<Erased> {
    const streams = streamsOf(row);
    await refuseHeld(this.db, caller.tenant, streams);
    const plan = await planOf(this.db, streams, request);
    const members = membersOf(plan);
    if (members.length > MOST_RECORDS)
      throw new OrchestratorError(
        'payload_too_large',
        'this is more than can be erased in one go; name fewer contracts, or erase the whole session',
      );
    const erasures = members.length > 0 ? await this.record(caller, request, { streams, members }) : [];
    const events = plan.events.length + new Set(plan.disclosures.map(({ event }) => event)).size;
    return this.answer(request, {
      whole: false,
      erasures,
      events,
      memory_blocks: plan.blocks,
      keys_destroyed: [],
      left_of_tasks: plan.left,
    });
  }

  private answer({ session }: EraseRequest, done: Omit<Erased, 'session_id' | 'told' | 'out_of_reach'>): Erased {
    return { session_id: session, ...done, told: done.erasures.length > 0 ? this.erasures.peers : [], out_of_reach: OUT_OF_REACH };
  }

  /** Recorded and carried out; returns the ids of the events. */
  private async record(
    { tenant, principal }: EraseSession['caller'],
    { session, basis, requested_by }: EraseRequest,
    { streams, members }: { streams: readonly string[]; members: readonly Members[] },
  ): Promise<string[]> {
    const drafts = members.map(
      (each): Draft => newDraft('payload.erased', each, { basis, requested_by, principal: principal ?? undefined }),
    );
    const ids = drafts.map(({ id }) => id);
    const named = members.some((each) => each.streams) && this.erasures.peers.length > 0 ? session : null;
    await noteErasures(this.db, ids, { tenant, session: named });
    try {
      await this.system.append(tenant, drafts, () => refuseHeld(this.db, tenant, streams));
    } catch (error) {
      // Where nothing is known, it may be recorded: then the note is what has it carried out.
      if (error instanceof OrchestratorError && error.code === 'legal_hold') await dropNotes(this.db, ids);
      throw error;
    }
    for (const id of ids) await this.erasures.complete(id);
    return ids;
  }

  private async find(tenant: string, session: string): Promise<SessionRow> {
    const row = await this.sessions.find(tenant, session);
    if (!row) throw new OrchestratorError('not_found', `there is no session "${session}"`);
    return row;
  }

  /** What is closed takes no more contracts. */
  private async close(tenant: string, { session, cancel = false }: EraseRequest): Promise<void> {
    await this.commands.execute(new CloseSession(tenant, session, cancel)).catch((error: Error) => {
      if (!(error instanceof OrchestratorError) || error.code !== 'session_closed') throw error;
    });
  }
}

const streamsOf = ({ earlier, stream }: SessionRow): string[] => [...earlier, stream];
