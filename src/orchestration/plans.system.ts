/**
 * Carries a plan. The plan has a contract of its own, with the orchestrator itself: its REQUEST, which says what was asked, stands before those
 * of its steps, its RESPONSE after them all. So a plan is opened, closed, cancelled, interrupted and asked for again as any contract is.
 */
import { Injectable } from '@nestjs/common';
import { type Asked, completed, failed, type Outcome } from '../contracts/contract.js';
import { ContractManager } from '../contracts/contracts.commands.js';
import type { RecordedAnswer } from '../contracts/contracts.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Caller } from '../kernel/principal.js';
import { Instance } from '../ledger/instance.worker.js';
import { Calls } from './calls.system.js';
import { type Carried, Carrier, contractOf, type KeyUsed, unfit, type Work } from './carrier.system.js';
import { type Group, readPlan, type WrittenPlan } from './plan.js';
import { type Ended, resultOf, type Said, shortfall } from './plan-result.js';
import { type Common, PlanRun } from './plan-run.system.js';
import { type Evidence, type Synthesis, Synthesizer } from './synthesizer.js';

export type PlanWork = Common & Pick<Work, 'key'>;

@Injectable()
export class Plans {
  constructor(
    private readonly carrier: Carrier,
    private readonly contracts: ContractManager,
    private readonly calls: Calls,
    private readonly instance: Instance,
    private readonly synthesizer: Synthesizer,
  ) {}

  async carry(caller: Caller, plan: WrittenPlan, { key, ...common }: PlanWork): Promise<Carried | { used: KeyUsed }> {
    const group = readPlan(plan);
    if (group.aggregate === 'llm' && !this.synthesizer.available) {
      const message = 'no language model is configured to make one answer of several; set ANTHROPIC_API_KEY, or ask for another aggregate';
      throw new OrchestratorError('llm_unavailable', message);
    }
    if (!this.instance.fit) throw unfit();
    const { session_id, task, deadline, intent, priority, context, follower } = common;
    const opening = await this.contracts.open({
      tenant: caller.tenant,
      session: session_id,
      request: {
        task,
        to: null,
        capability: null,
        deadline: new Date(deadline).toISOString(),
        cause: null,
        trace: caller.trace?.id ?? null,
      },
      payload: {
        asked: { ...(intent !== undefined && { intent }), ...(priority !== undefined && { priority }) },
        plan: JSON.parse(JSON.stringify(plan)) as JsonValue,
        context: Object.keys(context).length > 0 ? context : undefined,
        routing: { method: 'plan', candidates: [] },
        principal: caller.principal ?? undefined,
      },
      seconds: left(deadline) / 1000,
      key,
    });
    if ('used' in opening) return opening;
    const { asked, stream } = opening.opened;
    let stopped: Outcome | null = null;
    const release = this.calls.hold(asked.id, stream, (outcome) => {
      stopped ??= outcome;
      follower.gone.stop(new Error(outcome.message));
    });
    follower.gone.onStop((why) => {
      stopped ??= failed('cancelled', why.message);
    });
    follower.recorded(contractOf(asked));
    try {
      const run = new PlanRun(this.carrier, this.calls, { caller, common, contract: asked.id });
      const { ends, first, cut } = await run.whole(group);
      const ended: Ended = { aggregate: group.aggregate, steps: ends, first };
      const outcome = await this.outcome({ group, ended, cut, said: run.said, common }, () => stopped);
      const answer = await this.contracts.close(opening.opened, outcome, left(deadline));
      return { asked, answer: answered(answer, run.said) };
    } catch (error) {
      // Something of ours broke down: no step goes on, and the contract does not stay open until recovery finds it.
      const outcome = failed('interrupted', 'the orchestrator broke down while it carried the plan');
      follower.gone.stop(new Error(outcome.message));
      await this.contracts.close(opening.opened, outcome, 0).catch(() => undefined);
      throw error;
    } finally {
      release();
    }
  }

  /** `stopped`: how it ended if somebody stopped it, as he who hung up, cancelled, closed the session or shut the process down. */
  private async outcome(plan: Finished, stopped: () => Outcome | null): Promise<Outcome> {
    const { group, ended, cut } = plan;
    const result = recorded(ended);
    const lacking = shortfall(group, ended.steps);
    const end = stopped();
    if (end && (cut || lacking !== null)) return { ...end, result };
    if (lacking !== null) return failed('step_failed', lacking, { result });
    if (group.aggregate !== 'llm') return completed(result);
    try {
      return completed(recorded({ ...ended, synthesis: await this.synthesize(plan) }));
    } catch (error) {
      const cancelled = stopped();
      if (cancelled) return { ...cancelled, result };
      const late = (error as Error).name === 'TimeoutError';
      if (!late && !(error instanceof OrchestratorError)) throw error;
      return failed('synthesis_failed', late ? 'the time of the task was over' : (error as Error).message, { result });
    }
  }

  private synthesize({ ended, said, common }: Finished): Promise<Synthesis> {
    const evidence = ended.steps.flatMap((end) => end.steps ?? [end]).flatMap((end) => evidenceOf(end, said) ?? []);
    const signal = AbortSignal.any([common.follower.gone.signal, AbortSignal.timeout(left(common.deadline))]);
    return this.synthesizer.synthesize(evidence, common.intent ?? null, signal);
  }

  /** The recorded answer of a plan, with what its steps' contracts say; the same as was told when it ended. */
  async again({ asked, answer }: Carried): Promise<Carried> {
    const ended = answer.result as unknown as Ended | undefined;
    const said = new Map<string, Said>();
    for (const id of (ended?.steps ?? []).flatMap((end) => end.steps ?? [end]).flatMap(({ contract_id }) => contract_id ?? [])) {
      const contract = (await this.contracts.ended(id, Date.now()))?.at(-1);
      if (contract) said.set(id, { ...namesOf(contract.asked), outcome: contract.answer });
    }
    return { asked, answer: answered(answer, said) };
  }
}

interface Finished {
  readonly group: Group;
  readonly ended: Ended;
  readonly cut: boolean;
  readonly said: ReadonlyMap<string, Said>;
  readonly common: Common;
}

const left = (deadline: number): number => Math.max(1, deadline - Date.now());

/** As JSON: without the members that are undefined. */
const recorded = (ended: Ended): JsonValue => JSON.parse(JSON.stringify(ended)) as JsonValue;

const namesOf = ({ to, capability }: Asked) => ({ agent_id: to, capability });

function answered(answer: RecordedAnswer, said: ReadonlyMap<string, Said>): RecordedAnswer {
  if (answer.result === undefined) return answer; // somebody else closed it, as a session that was closed does
  return { ...answer, result: resultOf(answer.result as unknown as Ended, said) as unknown as JsonValue };
}

function evidenceOf({ name, status, contract_id }: Ended['steps'][number], said: ReadonlyMap<string, Said>): Evidence | null {
  const known = contract_id === null ? undefined : said.get(contract_id);
  if (contract_id === null || !known) return null;
  const { agent_id, capability, parameters, outcome } = known;
  const { result = null, text = null, message: error = null, code: error_code = null } = outcome;
  return { name, contract_id, agent_id, capability, status, error_code, parameters: parameters ?? null, result, text, error };
}
