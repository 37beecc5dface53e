/** What an operator can ask of a follower that forwards: another try of what is parked, or everything again. */
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { askForRetry, replayFrom, replayStream } from '../ledger/park.postgres.js';

interface OfSession {
  readonly tenant: string;
  readonly session: string;
}

/** Streams that will be tried now. */
export class RetryParked extends Command<{ retried: number }> {
  constructor(
    readonly follower: string,
    readonly of?: OfSession,
  ) {
    super();
  }
}

@CommandHandler(RetryParked)
export class RetryParkedHandler implements ICommandHandler<RetryParked> {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
  ) {}

  async execute({ follower, of }: RetryParked): Promise<{ retried: number }> {
    if (!of) return { retried: await askForRetry(this.db, follower) };
    let retried = 0;
    for (const stream of await streamsOf(this.sessions, of)) retried += await askForRetry(this.db, follower, stream);
    return { retried };
  }
}

/** `events`: at most so many are sent again. */
export class Replay extends Command<{ events: number }> {
  constructor(
    readonly follower: string,
    readonly what: OfSession | { readonly from: number },
  ) {
    super();
  }
}

@CommandHandler(Replay)
export class ReplayHandler implements ICommandHandler<Replay> {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
  ) {}

  execute({ follower, what }: Replay): Promise<{ events: number }> {
    return 'from' in what ? this.everything(follower, what.from) : this.session(follower, what);
  }

  private async everything(follower: string, from: number): Promise<{ events: number }> {
    const cursor = await this.db.transaction((tx) => replayFrom(tx, follower, from));
    return { events: Math.max(0, (cursor ?? -1) - from + 1) };
  }

  private async session(follower: string, of: OfSession): Promise<{ events: number }> {
    const streams = await streamsOf(this.sessions, of);
    return this.db.transaction(async (tx) => {
      let events = 0;
      for (const stream of streams) events += await replayStream(tx, follower, stream);
      return { events };
    });
  }
}

async function streamsOf(sessions: Sessions, { tenant, session }: OfSession): Promise<string[]> {
  const row = await sessions.find(tenant, session);
  if (!row) throw new OrchestratorError('not_found', `there is no session "${session}"`);
  return [...row.earlier, row.stream];
}
