/**
 * What came of a plan. Pure. On the record stands `Ended`: how each step ended, by the id of its contract; what the agents said stands in those
 * contracts and is not written twice. `resultOf` joins both, for the caller who waits and for the one who asks again.
 */
import type { Outcome, RecordedFile } from '../contracts/contract.js';
import type { JsonValue } from '../kernel/json.js';
import type { Aggregate, Group, Step } from './plan.js';
import type { Synthesis } from './synthesizer.js';

export type StepStatus = 'completed' | 'failed' | 'cancelled' | 'not_run';

/** How a step ended, as it is recorded. */
export interface StepEnd {
  readonly name: string;
  readonly status: StepStatus;
  /** The REQUEST of its last attempt; null: no agent was asked. */
  readonly contract_id: string | null;
  /** Why no agent was asked. */
  readonly error?: string | undefined;
  /** Of a step that is a plan of its own. */
  readonly steps?: readonly StepEnd[] | undefined;
  /** first_success, of a step that is a plan: whose result it is. */
  readonly first?: string | undefined;
}

/** How all of it ended, as it is recorded in the RESPONSE of the plan's own contract. */
export interface Ended {
  readonly aggregate: Aggregate;
  readonly steps: readonly StepEnd[];
  readonly first?: string | undefined;
  readonly synthesis?: Synthesis | undefined;
}

/** What was asked of an agent in a step's contract, and what it said. */
export interface Said {
  readonly agent_id: string | null;
  readonly capability: string | null;
  readonly parameters?: JsonValue;
  readonly outcome: Outcome;
}

/** What the caller is told of one step. */
export interface StepResult {
  readonly name: string;
  readonly status: StepStatus;
  readonly contract_id: string | null;
  readonly agent_id: string | null;
  readonly capability: string | null;
  readonly result: JsonValue;
  readonly text: string | null;
  readonly files: RecordedFile[];
  readonly error: string | null;
  readonly error_code: string | null;
  readonly steps?: StepResult[];
}

export interface PlanResult {
  readonly aggregate: Aggregate;
  readonly aggregated_result: JsonValue;
  readonly individual_results: StepResult[];
  /** Agents whose contract a step ended with, and which did not complete it. */
  readonly failed_agents: string[];
  /** Calls that completed ÷ all calls of the plan. */
  readonly success_rate: number;
}

export function resultOf(ended: Ended, said: ReadonlyMap<string, Said>): PlanResult {
  const results = ended.steps.map((end) => stepResult(end, said));
  const calls = leavesOf(results);
  const failed = calls.filter(({ status }) => status === 'failed').flatMap(({ agent_id }) => agent_id ?? []);
  return {
    aggregate: ended.aggregate,
    aggregated_result: aggregated(ended, results),
    individual_results: results,
    failed_agents: [...new Set(failed)],
    success_rate: calls.filter(({ status }) => status === 'completed').length / calls.length,
  };
}

export function stepResult(end: StepEnd, said: ReadonlyMap<string, Said>): StepResult {
  const known = end.contract_id === null ? undefined : said.get(end.contract_id);
  const steps = end.steps?.map((inner) => stepResult(inner, said));
  const inner =
    steps && aggregated({ aggregate: end.first === undefined ? 'all' : 'first_success', steps: end.steps!, first: end.first }, steps);
  return {
    name: end.name,
    status: end.status,
    contract_id: end.contract_id,
    agent_id: known?.agent_id ?? null,
    capability: known?.capability ?? null,
    result: inner ?? known?.outcome.result ?? null,
    text: known?.outcome.text ?? null,
    files: known?.outcome.files ?? [],
    error: known?.outcome.message ?? end.error ?? null,
    error_code: known?.outcome.code ?? null,
    ...(steps && { steps }),
  };
}

function aggregated({ aggregate, first, synthesis }: Ended, results: readonly StepResult[]): JsonValue {
  if (aggregate === 'llm') return synthesis ? ({ ...synthesis } as unknown as JsonValue) : null;
  if (aggregate === 'first_success') return results.find(({ name }) => name === first)?.result ?? null;
  const completed = results.filter(({ status }) => status === 'completed');
  return completed.length === 0 ? null : Object.fromEntries(completed.map(({ name, result }) => [name, result]));
}

/** The calls, without the steps that only hold them. */
export const leavesOf = (results: readonly StepResult[]): StepResult[] => results.flatMap((r) => (r.steps ? leavesOf(r.steps) : [r]));

/** Why a group did not do what it was asked; null: it did. */
export function shortfall(group: Pick<Group, 'steps' | 'aggregate'>, ends: readonly StepEnd[]): string | null {
  const done = ends.some(({ status }) => status === 'completed');
  if (group.aggregate === 'first_success') return done ? null : 'no step completed';
  const rules = new Map(group.steps.map((step) => [step.name, step]));
  const missed = ends.filter(({ name, status }) => status !== 'completed' && rules.get(name)?.stops);
  const culprit = missed.find(({ status }) => status === 'failed') ?? missed[0];
  if (culprit) return `step "${culprit.name}" ${culprit.status === 'not_run' ? 'was not run' : culprit.status}`;
  return done ? null : 'no step completed';
}

/** A step, and all in it, that no agent was asked for. */
export function notRun(step: Step, error: string): StepEnd {
  const base = { name: step.name, status: 'not_run' as const, contract_id: null, error };
  return 'group' in step ? { ...base, steps: step.group.steps.map((inner) => notRun(inner, error)) } : base;
}
