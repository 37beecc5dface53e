/** Appends to the session of a name, whichever stream that is by now; opens one where there is none. */
import { Injectable } from '@nestjs/common';
import { OrchestratorError } from '../kernel/errors.js';
import { Appender } from '../ledger/append.worker.js';
import type { Intent, KeyClaim } from '../ledger/batch.js';
import { Instance } from '../ledger/instance.worker.js';
import type { Draft } from '../ledger/record.js';
import type { AppendResult } from '../ledger/send.postgres.js';
import { SessionLimit } from './session-limit.postgres.js';
import { Sessions } from './sessions.postgres.js';

interface ForSession {
  readonly tenant: string;
  readonly session: string;
  /** Until the deadline of the REQUEST it leaves open. */
  readonly seconds: number;
  readonly key?: KeyClaim | undefined;
}

@Injectable()
export class IntoSession {
  constructor(
    private readonly appender: Appender,
    private readonly sessions: Sessions,
    private readonly limit: SessionLimit,
    /** Who answers for what this process leaves open. */
    private readonly instance: Instance,
  ) {}

  async append(contract: ForSession, drafts: readonly Draft[]): Promise<{ result: AppendResult; stream: string }> {
    const { tenant, session, key, seconds } = contract;
    for (let attempt = 0; attempt < 5; attempt++) {
      const { stream, opening } = this.sessions.known(tenant, session) ?? (await this.sessions.resolve(tenant, session));
      const intent = { stream, drafts, opening, key, open: { owner: this.instance.owner, seconds } };
      const result = await (opening ? this.openingWith(contract, intent) : this.appender.append(intent));
      const { refusal } = result;
      if (!refusal) return { result, stream };
      switch (refusal.code) {
        case 'key_used':
          return { result, stream };
        case 'renamed':
          this.sessions.forget(tenant, session);
          break;
        case 'closed':
          // The name was erased with the session, or stands for a newer stream of another replica's.
          if ((await this.sessions.find(tenant, session))?.stream !== stream) this.sessions.forget(tenant, session);
          else if (refusal.seal.reason === 'requested') throw sessionClosed(session);
          else this.sessions.reopen(tenant, session, { stream, seal: refusal.seal });
          break;
        default:
          throw new OrchestratorError('internal', `a REQUEST was refused as ${refusal.code}`);
      }
    }
    throw new OrchestratorError('ledger_unavailable', `session "${session}" was renamed by other writers again and again; try again`, {
      retryAfter: 1,
    });
  }

  /** The first event of a stream; somebody else may open it meanwhile. */
  private openingWith({ tenant, session }: ForSession, intent: Intent): Promise<AppendResult> {
    const unopened = () => this.sessions.known(tenant, session)?.opening !== undefined;
    return this.limit.opening(unopened, async () => {
      const result = await this.appender.append(intent);
      if (!result.refusal) this.sessions.opened(tenant, session, intent.stream);
      return result;
    });
  }
}

const sessionClosed = (session: string) =>
  new OrchestratorError('session_closed', `session "${session}" is closed and takes no more work; use another session_id`);
