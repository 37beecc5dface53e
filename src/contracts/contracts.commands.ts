/**
 * ContractManager: writes both halves of every contract. A REQUEST is committed before anybody is called, its RESPONSE before anybody is
 * told; whatever happens in between, the record ends with exactly one of each.
 */
import { Injectable } from '@nestjs/common';
import { Command, CommandHandler, EventBus, type ICommandHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { Metrics } from '../kernel/metrics.system.js';
import { usedKeys } from '../ledger/append.postgres.js';
import { Appender } from '../ledger/append.worker.js';
import type { KeyClaim, Placed } from '../ledger/batch.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { GRACE_SECONDS, openInStream } from '../ledger/open-request.postgres.js';
import { eventById } from '../ledger/read.postgres.js';
import type { AppendResult } from '../ledger/send.postgres.js';
import type { Refusal } from '../ledger/stream.js';
import { type Asked, failed, type Outcome, type RequestMembers, requestMembers, responseMembers, responsePayload } from './contract.js';
import { answerTo, askedOf, type EndedContract, endedTask, isRequest, type RecordedAnswer, unknownContract } from './contracts.postgres.js';
import { IntoSession } from './into-session.postgres.js';
import { Sessions, secondsUsed } from './sessions.postgres.js';

/** Where an event stands, and the hash to remember it by. */
export interface Receipt {
  readonly stream: string;
  readonly seq: number;
  readonly hash: string;
}

export interface OpenContract {
  readonly asked: Asked;
  readonly stream: string;
  readonly receipt: Receipt;
}

export interface NewContract {
  /** Foretold by the RESPONSE it follows. */
  readonly id?: string | undefined;
  readonly tenant: string;
  readonly session: string;
  readonly request: RequestMembers;
  readonly payload: Record<string, JsonValue | undefined>;
  /** Seconds until the deadline. */
  readonly seconds: number;
  readonly key?: KeyClaim | undefined;
}

type KeyUsed = Extract<Refusal, { code: 'key_used' }>;

@Injectable()
export class ContractManager {
  constructor(
    private readonly appender: Appender,
    private readonly sessions: IntoSession,
    private readonly db: Database,
    private readonly metrics: Metrics,
  ) {}

  /** Records the REQUEST. With `outcome` the RESPONSE stands in the same batch: no agent is called. `used`: its key was, nothing is recorded. */
  async open(contract: NewContract, outcome?: Outcome): Promise<{ opened: OpenContract; answer?: RecordedAnswer } | { used: KeyUsed }> {
    const request = newDraft('contract.request', requestMembers(contract.request), contract.payload, contract.id);
    const asked = {
      id: request.id,
      task: contract.request.task,
      to: contract.request.to?.agent ?? null,
      capability: contract.request.capability,
    };
    const response = outcome && newDraft('contract.response', responseMembers(asked, outcome), responsePayload(outcome));
    let appended: { result: AppendResult; stream: string };
    try {
      appended = await this.sessions.append(contract, response ? [request, response] : [request]);
    } catch (error) {
      appended = await this.usedBefore(contract, error as Error);
    }
    const { result, stream } = appended;
    if (result.refusal) return { used: result.refusal as KeyUsed };
    const [first, second] = result.placed;
    const opened = { asked, stream, receipt: receiptOf(stream, first!) };
    if (!outcome || !second || !response) return { opened };
    this.count(outcome);
    const receipt = receiptOf(stream, second);
    return { opened, answer: { ...outcome, receipt, request: request.id, response: response.id, time: response.time } };
  }

  /** A closed session takes no more work, nor does a house that is full, but what was answered can still be asked for. */
  private async usedBefore({ key }: NewContract, error: Error): Promise<{ result: AppendResult; stream: string }> {
    const refused = error instanceof OrchestratorError && (error.code === 'session_closed' || error.code === 'overloaded');
    const refusal = refused && key ? await this.used(key) : null;
    if (!refusal) throw error;
    return { result: { refusal }, stream: '' };
  }

  /** null: it was not. */
  async used(key: KeyClaim): Promise<KeyUsed | null> {
    const [used] = await usedKeys(this.db, [key]);
    return used ? { code: 'key_used', ...used } : null;
  }

  /** Throws `not_found` unless this tenant's record has such a REQUEST: its id may then stand in a record, where it can never be erased. */
  async mustBeRequest(tenant: string, id: string): Promise<void> {
    const row = await eventById(this.db, id);
    if (!isRequest(row, tenant)) throw unknownContract(id);
  }

  /** What was recorded of a task from its first REQUEST on, attempt by attempt; null: it has not ended. */
  ended(request: string, now: number): Promise<EndedContract[] | null> {
    return endedTask(this.db, request, now);
  }

  /**
   * Records the RESPONSE, or finds the one that somebody else recorded first: the caller is told what the record says. `patienceMs`: until
   * the deadline; the agent has acted already, so the ledger is asked again and again until then, and the grace after it.
   */
  async close(contract: Pick<OpenContract, 'asked' | 'stream'>, outcome: Outcome, patienceMs: number): Promise<RecordedAnswer> {
    const { asked, stream } = contract;
    const draft = newDraft('contract.response', responseMembers(asked, outcome), responsePayload(outcome));
    const result = await this.appender.append({ stream, drafts: [draft] }, patienceMs + GRACE_SECONDS * 1000);
    if (!result.refusal) {
      this.count(outcome);
      const receipt = receiptOf(stream, result.placed[0]!);
      return { ...outcome, receipt, request: asked.id, response: draft.id, time: draft.time };
    }
    const recorded = await answerTo(this.db, asked.id);
    if (!recorded)
      throw new OrchestratorError('internal', `the RESPONSE to ${asked.id} was refused as ${result.refusal.code}, but there is none`);
    return recorded;
  }

  /** Closes a REQUEST whose owner is gone. Losing to the owner's own RESPONSE is fine. */
  async closeAbandoned(open: { id: string; stream: string }, outcome: Outcome): Promise<void> {
    const asked = await askedOf(this.db, open.id);
    if (asked) await this.close({ asked, stream: open.stream }, outcome, 0);
  }

  /** Seals the stream; `cancel` ends what is open first. */
  async seal(stream: string, reason: 'requested' | 'idle', cancel: boolean): Promise<Receipt> {
    for (let attempt = 0; attempt < 10; attempt++) {
      if (cancel) {
        for (const open of await openInStream(this.db, stream))
          await this.closeAbandoned(open, failed('cancelled', 'the session was closed'));
      }
      const draft = newDraft('session.closed', { reason });
      const result = await this.appender.append({ stream, drafts: [draft] });
      if (!result.refusal) {
        const seal = receiptOf(stream, result.placed[0]!);
        void this.measure(stream, seal.seq);
        return seal;
      }
      if (result.refusal.code === 'closed') throw new OrchestratorError('session_closed', 'the session is closed already');
      if (!cancel) break;
    }
    throw new OrchestratorError('session_busy', 'requests of this session are still open; wait for them, or close it with ?cancel=true');
  }

  /** A RESPONSE is written once, so over all replicas each failure is counted once. */
  private count({ code }: Outcome): void {
    if (code !== undefined) this.metrics.failed(code);
  }

  /** Nobody waits for this, and a session whose times cannot be read is not measured. */
  private async measure(stream: string, seal: number): Promise<void> {
    const seconds = await secondsUsed(this.db, stream, seal).catch(() => null);
    if (seconds !== null) this.metrics.sessionClosed(seconds);
  }
}

const receiptOf = (stream: string, { seq, hash }: Placed): Receipt => ({ stream, seq, hash: hash.toString('hex') });

/** What may be lost: tells the process that runs a call that it is no longer wanted. */
export class SessionCancelled {
  constructor(readonly stream: string) {}
}

export class CloseSession extends Command<{ session_id: string; closed: true; receipt: Receipt }> {
  constructor(
    readonly tenant: string,
    readonly session: string,
    readonly cancel: boolean,
  ) {
    super();
  }
}

@CommandHandler(CloseSession)
export class CloseSessionHandler implements ICommandHandler<CloseSession> {
  constructor(
    private readonly contracts: ContractManager,
    private readonly sessions: Sessions,
    private readonly events: EventBus,
  ) {}

  async execute({ tenant, session, cancel }: CloseSession) {
    const row = await this.sessions.find(tenant, session);
    if (!row) throw new OrchestratorError('not_found', `there is no session "${session}"`);
    const sealing = this.contracts.seal(row.stream, 'requested', cancel);
    if (cancel) this.events.publish(new SessionCancelled(row.stream));
    return { session_id: session, closed: true as const, receipt: await sealing };
  }
}
