/** Who makes the next attempt at a task: somebody free, if need be after a wait; and whether there is a next one. */
import { Inject, Injectable } from '@nestjs/common';
import { CallSignals } from '../agents/call-signals.system.js';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import { type ContractErrorCode, failed, type Outcome } from '../contracts/contract.js';
import type { EndedContract } from '../contracts/contracts.postgres.js';
import { newId } from '../kernel/ids.system.js';
import type { JsonValue } from '../kernel/json.js';
import { Metrics } from '../kernel/metrics.system.js';
import type { Choice, Decision } from '../routing/decision.js';
import type { Pass } from './breaker.system.js';
import { shuttingDown } from './calls.system.js';
import { unfitInput } from './fit.system.js';
import { type Closed, type Guard, Guards } from './guards.system.js';
import { ORCHESTRATION_SETTINGS, type OrchestrationSettings } from './orchestration.settings.js';
import { type Ended, safe, speaksFor, type Tried, whoNext } from './retry.js';
import { type Waiting, Waits } from './waits.system.js';

/** What of a task matters to who does it. */
interface Wanted extends Waiting {
  readonly parameters: Record<string, JsonValue>;
  readonly deadline: number;
  /** In line for an agent that is busy the higher goes first. */
  readonly priority?: number | undefined;
}

/** Somebody who does it, and has room for it. Whoever got the turn says when it is `done`. */
export interface Turn {
  readonly choice: Choice;
  readonly guard: Guard;
  readonly pass: Pass;
  readonly passed?: readonly PassedOver[] | undefined;
}

/** Nobody does: how the contract ends without a call. */
export interface NoTurn {
  readonly choice: null;
  readonly outcome: Outcome;
  readonly passed?: readonly PassedOver[] | undefined;
}

/** Nobody has room now; at those who are busy there is room to wait. */
interface Crowd {
  readonly busy: readonly Choice[];
  readonly passed: readonly PassedOver[];
}

/** Evidence: who was chosen, and then not called. */
export type PassedOver = { readonly agent_id: string; readonly reason: 'stopped' | 'breaker_open' | 'over_limit' };

/** What follows an attempt that failed. */
export interface Following {
  readonly contract_id: string;
  readonly pause_ms: number;
  /** Who may make it, best first. */
  readonly ranked: readonly Choice[];
}

/** A task of which an attempt has failed. */
export class Tries {
  /** Its attempts so far. */
  readonly contracts: EndedContract[] = [];
  readonly agents = new Map<string, Tried>();

  constructor(readonly decision: Decision) {}
}

@Injectable()
export class Attempts {
  private waitingForStart = 0;

  constructor(
    private readonly registry: AgentRegistry,
    private readonly guards: Guards,
    private readonly waits: Waits,
    private readonly signals: CallSignals,
    private readonly metrics: Metrics,
    @Inject(ORCHESTRATION_SETTINGS) private readonly settings: OrchestrationSettings,
  ) {}

  /**
   * While all who can do it are stopped: waits until `decide` finds somebody. The decision as it then is: without anybody where the deadline
   * came first, or too many wait already. Rejects when the process ends.
   */
  async whenStarted(decision: Decision, wanted: Wanted, decide: () => Decision | Promise<Decision>): Promise<Decision> {
    let last = decision;
    if (this.waitingForStart >= this.settings.AGENT_QUEUE) return last;
    this.waitingForStart += 1;
    try {
      while (last.obstacle === 'stopped') {
        const woken = await this.waits.wait(wanted, wanted.deadline, (wake) => this.registry.onChange(wake));
        if (woken === 'closing') throw shuttingDown();
        if (woken !== 'woken') return last;
        last = await decide();
      }
      return last;
    } finally {
      this.waitingForStart -= 1;
    }
  }

  /** The first who has room. null: all are busy, and there is room to wait for one of them. */
  take(decision: Decision, wanted: Wanted): Turn | NoTurn | null {
    if (decision.ranked.length === 0) return { choice: null, outcome: nobodyFor(decision, wanted) };
    const found = this.look(decision.ranked);
    return 'busy' in found ? null : found;
  }

  /** `queued`: after a wait. */
  private look(ranked: readonly Choice[], queued = false): Turn | NoTurn | Crowd {
    let passed: PassedOver[] | undefined;
    let busy: Choice[] | undefined;
    for (const choice of ranked) {
      const turn = this.enter(choice, queued);
      if ('guard' in turn) return passed ? { ...turn, passed } : turn;
      passed ??= [];
      passed.push(passedOver(choice, turn.closed));
      if (turn.closed === 'busy') {
        busy ??= [];
        busy.push(choice);
      }
    }
    return busy ? { busy, passed: passed! } : { choice: null, outcome: nobody(passed ?? []), passed };
  }

  /** The first who has room, once one has; nobody where the deadline comes first. It stands in line at each of them. Rejects when the process ends. */
  async inLine(ranked: readonly Choice[], wanted: Wanted): Promise<Turn | NoTurn> {
    let found = this.look(ranked);
    while ('busy' in found) {
      const { busy, passed } = found;
      const guards = busy.map((choice) => this.guards.at(this.registry.get(idOf(choice)) ?? choice.agent));
      const woken = await this.waits.wait(wanted, wanted.deadline, (wake) => {
        const leaves = guards.map((guard) => guard.line(wake, wanted.priority));
        return () => {
          for (const leave of leaves) leave();
        };
      });
      if (woken === 'closing') throw shuttingDown();
      if (woken !== 'woken') return { choice: null, outcome: tooLate(wanted), passed };
      found = this.look(ranked, true);
      // Whoever woke us may still have room: it is somebody else's turn then.
      for (const guard of guards) guard.next();
    }
    return found;
  }

  /** The agent as it is now: it may have been described anew since it was chosen. */
  private enter(chosen: Choice, queued: boolean): Turn | { readonly closed: Closed | 'stopped' } {
    const agent = this.registry.get(idOf(chosen));
    if (!agent || agent.status === 'stopped' || !offers(agent, chosen.capability)) return { closed: 'stopped' };
    const guard = this.guards.at(agent);
    const pass = guard.enter(queued);
    if (pass !== 'call' && pass !== 'probe') return { closed: pass };
    return { choice: agent === chosen.agent ? chosen : { ...chosen, agent }, guard, pass };
  }

  /** The call of a turn has ended, or (null) was not made. `givenMs`: how long it was given. */
  done({ choice, guard, pass }: Turn, ended: Ended | null, givenMs: number): void {
    const well = ended && speaksFor(ended, givenMs, guard.patienceMs);
    guard.leave(pass, well, ended?.code);
    // That an agent hangs nobody else can tell.
    if (well === false && ended?.code === 'agent_timeout') this.signals.ended(idOf(choice), ended.code);
  }

  /** What follows an attempt that failed; null: nothing, it was the last. */
  follows(turn: Turn, ended: Ended, tries: Tries, wanted: Wanted): Following | null {
    const may = safe(ended);
    if (may === 'never' || tries.contracts.length + 1 >= this.settings.TASK_ATTEMPTS) return null;
    if (may === 'if_idempotent' && !isIdempotent(turn.choice)) return null;
    const now = Date.now();
    const id = idOf(turn.choice);
    const failures = (tries.agents.get(id)?.failures ?? 0) + 1;
    tries.agents.set(id, { failures, notBefore: now + (ended.fault?.after_ms ?? 0) });
    const candidates = tries.decision.ranked.filter((choice) => this.canFollow(choice, may, wanted));
    const next = whoNext(candidates.map(idOf), tries.agents, { now, deadline: wanted.deadline, chance: Math.random() });
    if (!next) return null;
    this.metrics.retried(id, ended.code!);
    const others = candidates.filter((choice) => !tries.agents.has(idOf(choice)) && idOf(choice) !== next.agent);
    const ranked = [candidates.find((choice) => idOf(choice) === next.agent)!, ...others];
    return { contract_id: newId(), pause_ms: next.pause_ms, ranked };
  }

  private canFollow(choice: Choice, may: 'always' | 'if_idempotent', wanted: Wanted): boolean {
    const agent = this.registry.get(idOf(choice));
    if (!agent || agent.status === 'stopped' || !offers(agent, choice.capability)) return false;
    if (this.guards.of(idOf(choice), agent.record).breaker === 'open') return false;
    if (may === 'if_idempotent' && !isIdempotent({ ...choice, agent })) return false;
    return unfitInput(agent, choice.capability, choice.parameters ?? wanted.parameters) === undefined;
  }

  /** The turn that follows, after its pause; nobody's where the caller is gone by then. null: the process ends, and the attempt is not made. */
  async again({ pause_ms, ranked }: Following, wanted: Wanted): Promise<Turn | NoTurn | null> {
    if (pause_ms > 0) {
      const woken = await this.waits.wait(wanted, Date.now() + pause_ms);
      const gone = left(wanted);
      if (woken === 'gone' && gone) return { choice: null, outcome: gone }; // it was announced, so it stands on the record
      if (woken !== 'late') return null;
    }
    try {
      return await this.inLine(ranked, wanted);
    } catch {
      return null; // shutting down
    }
  }
}

const idOf = ({ agent }: Choice) => agent.description.agent_id;

const offers = ({ description }: RegisteredAgent, capability: string) => description.capabilities.some(({ name }) => name === capability);

const isIdempotent = ({ agent, capability }: Choice) =>
  agent.description.capabilities.find(({ name }) => name === capability)?.idempotent === true;

const passedOver = (choice: Choice, closed: Closed | 'stopped'): PassedOver => ({
  agent_id: idOf(choice),
  reason: closed === 'busy' || closed === 'full' ? 'over_limit' : closed,
});

const CODES = { over_limit: 'agent_busy', breaker_open: 'breaker_open' } as const;

/** How a contract ends that nobody could be given. */
export const codeOf = ({ obstacle }: Decision): ContractErrorCode => CODES[obstacle as keyof typeof CODES] ?? 'no_agent';

/** What the decision says, unless whoever asked has gone while it was waited for. */
const nobodyFor = (decision: Decision, wanted: Wanted): Outcome => left(wanted) ?? failed(codeOf(decision), decision.refused ?? '');

const tooLate = (wanted: Wanted): Outcome =>
  left(wanted) ?? failed('agent_busy', 'everybody who can do it was busy until the deadline; nobody was called');

function left({ follower }: Wanted): Outcome | null {
  const gone = follower?.gone.why;
  return gone ? failed('cancelled', gone.message) : null;
}

function nobody(passed: readonly PassedOver[]): Outcome {
  const who = (reason: PassedOver['reason']) => passed.filter((one) => one.reason === reason).map((one) => one.agent_id);
  const [full, open, stopped] = [who('over_limit'), who('breaker_open'), who('stopped')];
  if (full.length > 0) return failed('agent_busy', `no more tasks may wait for ${full.join(', ')}; nobody was called`);
  if (open.length > 0) return failed('breaker_open', `not called for now, because its latest calls failed: ${open.join(', ')}`);
  return failed('no_agent', `everybody who could do it is stopped: ${stopped.join(', ')}`);
}
