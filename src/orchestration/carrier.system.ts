/**
 * Carries one piece of work to its end: chosen, recorded, called, recorded, and where that is safe tried again. Each attempt is a contract of its
 * own; all share one deadline. A task is one piece of work, or several that share its id.
 */
import { Injectable } from '@nestjs/common';
import type { Progress } from '../agents/agent-client.js';
import type { RegisteredAgent } from '../agents/directory.js';
import type { Asked } from '../contracts/contract.js';
import { ContractManager, type OpenContract } from '../contracts/contracts.commands.js';
import type { EndedContract } from '../contracts/contracts.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Caller } from '../kernel/principal.js';
import type { KeyClaim } from '../ledger/batch.js';
import { Instance } from '../ledger/instance.worker.js';
import type { Refusal } from '../ledger/stream.js';
import type { Decision, Wish } from '../routing/decision.js';
import { Router } from '../routing/router.system.js';
import { Attempts, Tries, type Turn } from './attempts.system.js';
import { Calls, type Listener } from './calls.system.js';
import { fitOutput, unfitInput } from './fit.system.js';
import type { StepResult } from './plan-result.js';
import { type Attempt, newContract, parametersOf, remaining } from './request.system.js';
import type { Ended } from './retry.js';
import { type Given, TaskContext } from './task-context.postgres.js';

/** Somebody follows the task while it is carried. Lost without harm: the record and the result are the same without him. */
export interface Follower extends Listener {
  /** The REQUEST of an attempt is on the record; from the first on whatever happens ends in a result. `step`: of a plan. Must not throw. */
  recorded(contract: { contract_id: string; agent_id: string | null; task_id: string | null; step?: string }): void;
  /** `step`: of a plan. */
  readonly progress?: ((progress: Progress, step?: string) => void) | undefined;
  /** A step of a plan has ended. Must not throw. */
  readonly ended?: ((step: StepResult) => void) | undefined;
}

/** What a plan adds to the work of its steps. */
export interface Within {
  readonly context: Record<string, JsonValue>;
  readonly payload: Record<string, JsonValue>;
}

export interface Work extends Wish {
  readonly session_id: string;
  readonly parameters: Record<string, JsonValue>;
  readonly context: Record<string, JsonValue>;
  readonly intent?: string | undefined;
  /** Waits for an agent that is stopped, where no other can do it. */
  readonly queue?: boolean | undefined;
  readonly priority?: number | undefined;
  /** Id of the task it belongs to. */
  readonly task: string;
  /** Id of the RESPONSE it follows; null: of none. */
  readonly cause: string | null;
  /** Id of the recorded REQUEST this sends again. */
  readonly replay_of?: string | undefined;
  /** Milliseconds since 1970: when the whole task must have ended. */
  readonly deadline: number;
  /** Claimed with the first REQUEST. */
  readonly key?: KeyClaim | undefined;
  readonly follower?: Follower | undefined;
  readonly within?: Within | undefined;
}

/** The work's last contract, which has ended and is on the record. */
export interface Carried extends EndedContract {
  /** All of its contracts in their order, where there were several. */
  readonly attempts?: readonly EndedContract[] | undefined;
}

/** The key was used before; nothing was recorded now. */
export type KeyUsed = Extract<Refusal, { code: 'key_used' }>;

interface Calling {
  readonly turn: Turn;
  readonly opened: OpenContract;
  readonly given: Given;
  readonly milliseconds: number;
}

type Answered = Carried | { used: KeyUsed };

@Injectable()
export class Carrier {
  constructor(
    private readonly router: Router,
    private readonly contracts: ContractManager,
    private readonly calls: Calls,
    private readonly instance: Instance,
    private readonly context: TaskContext,
    private readonly attempts: Attempts,
  ) {}

  /** On the path of every task: where somebody is chosen and free at once, nothing is waited for before the first attempt. */
  carry(caller: Caller, work: Work): Promise<Answered> {
    if (!this.instance.fit) return Promise.reject(unfit());
    const decided = this.router.decide(work, caller.tenant);
    if (decided instanceof Promise) return decided.then((decision) => this.choose(caller, work, decision));
    return this.choose(caller, work, decided);
  }

  private choose(caller: Caller, work: Work, decision: Decision): Promise<Answered> {
    const stopped = work.queue && decision.obstacle === 'stopped';
    const turn = stopped ? null : this.attempts.take(decision, work);
    return turn ? this.perform(caller, work, { decision, turn }) : this.wait(caller, work, decision);
  }

  /** With nothing on record yet. Whoever asks again under a key that was used does not wait for his answer. */
  private async wait(caller: Caller, work: Work, chosen: Decision): Promise<Answered> {
    const used = work.key && (await this.contracts.used(work.key));
    if (used) return { used };
    const decide = () => this.router.decide(work, caller.tenant);
    // While the key was looked for, the agent may have been started: nobody would wake us.
    const now = work.key && chosen.obstacle === 'stopped' ? await decide() : chosen;
    const decision = await this.attempts.whenStarted(now, work, decide);
    const turn = this.attempts.take(decision, work) ?? (await this.attempts.inLine(decision.ranked, work));
    return this.perform(caller, work, { decision, turn });
  }

  /** Attempt by attempt. What has ended on the record is the answer, whatever keeps the next one from getting there. */
  private async perform(caller: Caller, work: Work, first: Attempt): Promise<Answered> {
    for (let attempt = first; ; ) {
      const { decision, turn, before } = attempt;
      const milliseconds = remaining(work);
      let opened: OpenContract | undefined;
      let ended: Ended | null = null;
      try {
        if (!this.instance.fit) throw unfit(); // it may have waited long for this turn
        const refused = turn.choice ? unfitInput(turn.choice.agent, turn.choice.capability, parametersOf(work, turn)) : turn.outcome;
        const asking = turn.choice && !refused ? this.given(caller, work, turn.choice.agent) : null;
        const given = asking instanceof Promise ? await asking : asking;
        const result = await this.contracts.open(newContract(caller, work, attempt, given), refused);
        if ('used' in result) return result;
        opened = result.opened;
        work.follower?.recorded(contractOf(opened.asked));
        if (!turn.choice || !given) return carried({ asked: opened.asked, answer: result.answer! }, before?.tries);
        const answered = await this.call(caller, work, { turn, opened, given, milliseconds });
        ended = fitOutput(turn.choice.agent, turn.choice.capability, answered);
      } catch (error) {
        if (before && !opened) return carried(before.tries.contracts.pop()!, before.tries); // its session was closed, or the ledger is away
        throw error;
      } finally {
        if (turn.choice) this.attempts.done(turn, ended, milliseconds);
      }
      const tries = before?.tries ?? (ended.code === undefined ? undefined : new Tries(decision));
      const following = tries && this.attempts.follows(turn, ended, tries, work);
      const outcome = following ? { ...ended, next: { contract_id: following.contract_id, pause_ms: following.pause_ms } } : ended;
      const answer = await this.contracts.close(opened, outcome, Math.max(0, work.deadline - Date.now()));
      const contract = { asked: opened.asked, answer };
      if (!following || !answer.next) return carried(contract, tries); // without `next` somebody else has ended it
      const next = await this.attempts.again(following, work);
      if (!next) return carried(contract, tries);
      tries.contracts.push(contract);
      attempt = { decision, turn: next, before: { tries, following } };
    }
  }

  private call(caller: Caller, work: Work, { turn, opened, given, milliseconds }: Calling): Promise<Ended> {
    const { agent, capability } = turn.choice;
    const { asked, stream } = opened;
    const context = work.within ? { ...given.context, ...work.within.context } : given.context;
    return this.calls.run({
      agent: agent.description.agent_id,
      client: agent.client,
      task: { task_id: asked.id, capability, parameters: parametersOf(work, turn), context },
      trace: caller.trace,
      stream,
      milliseconds,
      continuation: given.standing?.continuation,
      listener: work.follower,
    });
  }

  private given(caller: Caller, work: Work, agent: RegisteredAgent): Given | Promise<Given> {
    return this.context.of({ tenant: caller.tenant, name: work.session_id }, work.context, agent);
  }
}

/** Who has lost its database may be taken for dead, and its calls closed by others: it makes none. */
export function unfit(): OrchestratorError {
  const message = 'this process has lost touch with its database and must not call agents; nothing was recorded, try again';
  return new OrchestratorError('ledger_unavailable', message, { retryAfter: 5 });
}

export const contractOf = (asked: Asked) => ({ contract_id: asked.id, agent_id: asked.to, task_id: asked.task });

/** The last contract, with those before it. */
function carried(last: EndedContract, tries: Tries | undefined): Carried {
  return tries && tries.contracts.length > 0 ? { ...last, attempts: [...tries.contracts, last] } : last;
}
