/**
 * One plan under way: begins its steps when their turn comes, gives each what it points at, and stops where a rule, a deadline or somebody
 * says so. What was begun is carried to its end; a step that was not begun is told as such, and no agent was asked for it.
 */
import { Stop } from '../agents/agent-client.js';
import { fitting } from '../contracts/conversation.js';
import { MAX_HISTORY_BYTES } from '../contracts/history.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Caller } from '../kernel/principal.js';
import type { Calls } from './calls.system.js';
import type { Carrier, Follower, Work } from './carrier.system.js';
import type { CallStep, Group, Step } from './plan.js';
import { notRun, type Said, type StepEnd, type StepResult, shortfall, stepResult } from './plan-result.js';
import { filled } from './pointer.js';

/** What all steps have in common. */
export type Common = Pick<Work, 'session_id' | 'context' | 'intent' | 'queue' | 'priority' | 'task' | 'deadline'> & {
  readonly follower: Follower;
};

export interface Running {
  readonly caller: Caller;
  readonly common: Common;
  /** The plan's own REQUEST. */
  readonly contract: string;
}

/** How it stands when a step begins. */
interface Standing {
  /** What it may point into, by name. */
  readonly scope: Record<string, JsonValue>;
  /** Calls that ended before it. */
  readonly previous: readonly StepResult[];
  /** The event that led to it. */
  readonly cause: string;
  /** Stopped when the group it stands in is to end. */
  readonly halt: Stop;
}

interface GroupEnd {
  readonly ends: StepEnd[];
  /** first_success: whose result it is. */
  readonly first?: string | undefined;
  readonly cause: string;
  /** Somebody from outside kept it from its end. */
  readonly cut: boolean;
}

export class PlanRun {
  /** What was said in the steps' contracts, by their id. */
  readonly said = new Map<string, Said>();

  constructor(
    private readonly carrier: Carrier,
    private readonly calls: Calls,
    private readonly running: Running,
  ) {}

  whole(group: Group): Promise<GroupEnd> {
    const { contract, common } = this.running;
    return this.group(group, { scope: {}, previous: [], cause: contract, halt: common.follower.gone });
  }

  private async group(group: Group, before: Standing): Promise<GroupEnd> {
    const halt = new Stop();
    let over: string | null = null;
    halt.onStop((why) => {
      over = why.message;
    });
    let stopped = false;
    before.halt.onStop((why) => {
      stopped = true;
      halt.stop(why);
    });
    const ends: StepEnd[] = [];
    let first: string | undefined;
    let last = before.cause;
    let now: Standing = { ...before, halt };
    const turns = group.steps.entries();
    const takeTurns = async () => {
      for (const [i, step] of turns) {
        const why = over ?? this.outOfTime();
        if (why !== null) {
          ends[i] = notRun(step, why);
          continue;
        }
        const { end, cause } = await this.step(step, now);
        ends[i] = end;
        last = cause;
        if (group.mode === 'sequential') now = this.after(step, end, { ...now, cause });
        if (end.status === 'completed' && group.aggregate === 'first_success') {
          first ??= end.name;
          halt.stop(new Error(`step "${first}" answered first`));
        }
        if (end.status !== 'completed' && step.stops) halt.stop(new Error(`step "${end.name}" ${end.status}`));
      }
    };
    await Promise.all(Array.from({ length: Math.min(group.width, group.steps.length) }, takeTurns));
    const cut = stopped && first === undefined && ends.some(({ status }) => status === 'cancelled' || status === 'not_run');
    return { ends, first, cause: last, cut };
  }

  private outOfTime(): string | null {
    return Date.now() >= this.running.common.deadline ? 'the time of the task was over' : null;
  }

  private async step(step: Step, now: Standing): Promise<{ end: StepEnd; cause: string }> {
    const { end, cause } = 'group' in step ? await this.inner(step.name, step.group, now) : await this.call(step, now);
    this.running.common.follower.ended?.(stepResult(end, this.said));
    return { end, cause };
  }

  private async inner(name: string, group: Group, now: Standing): Promise<{ end: StepEnd; cause: string }> {
    const { ends, first, cause, cut } = await this.group(group, now);
    const lacking = shortfall(group, ends);
    const status = cut ? 'cancelled' : lacking === null ? 'completed' : 'failed';
    return { end: { name, status, contract_id: null, ...(lacking !== null && { error: lacking }), first, steps: ends }, cause };
  }

  private async call(step: CallStep, now: Standing): Promise<{ end: StepEnd; cause: string }> {
    const put = filled(step.parameters, now.scope);
    if ('problem' in put) return { end: unasked(step, put.problem), cause: now.cause };
    try {
      const work = this.work(step, put.parameters, now);
      const carried = await this.calls.alongside(() => this.carrier.carry(this.running.caller, work));
      if ('used' in carried) throw new OrchestratorError('internal', 'a step of a plan claims no key');
      const { asked, answer } = carried;
      this.said.set(asked.id, { agent_id: asked.to, capability: asked.capability, parameters: put.parameters, outcome: answer });
      return { end: { name: step.name, status: answer.status, contract_id: asked.id }, cause: answer.response };
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code === 'internal') throw error;
      return { end: unasked(step, error.message), cause: now.cause };
    }
  }

  private work(step: CallStep, parameters: Record<string, JsonValue>, { previous, cause, halt }: Standing): Work {
    const { contract, common } = this.running;
    const { follower, session_id, context, intent, queue, priority, task, deadline } = common;
    const given = fitting(previous.toReversed(), sizeOf, MAX_HISTORY_BYTES).reverse();
    return {
      session_id,
      context,
      intent,
      queue,
      priority,
      task,
      deadline,
      ...step.wish,
      parameters,
      cause,
      follower: {
        gone: halt,
        recorded: (recorded) => follower.recorded({ ...recorded, step: step.name }),
        progress: follower.progress && ((progress) => follower.progress!(progress, step.name)),
      },
      within: {
        context: given.length > 0 ? { previous_results: given as unknown as JsonValue } : {},
        payload: {
          step: { plan: contract, name: step.name, place: step.place },
          ...(given.length > 0 && { previous: given.flatMap(({ contract_id }) => contract_id ?? []) }),
        },
      },
    };
  }

  /** What the next step of a sequence finds. */
  private after(step: Step, end: StepEnd, now: Standing): Standing {
    const result = stepResult(end, this.said);
    const calls = 'group' in step ? result.steps! : [result];
    const seen = [...('group' in step ? [result] : []), ...calls].map((one) => [one.name, one as unknown as JsonValue] as const);
    return { ...now, scope: { ...now.scope, ...Object.fromEntries(seen) }, previous: [...now.previous, ...calls] };
  }
}

/** Nobody was asked, though it was the step's turn. */
const unasked = ({ name }: CallStep, error: string): StepEnd => ({ name, status: 'failed', contract_id: null, error });

const sizeOf = (result: StepResult): number => Buffer.byteLength(JSON.stringify(result));
