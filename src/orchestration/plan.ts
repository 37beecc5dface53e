/**
 * A plan: several pieces of work under one task, one after the other or at once. Pure: what the caller wrote comes in, steps with their names
 * and rules come out; plan-result.ts says what came of it, plans.system.ts carries it.
 */
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Wish } from '../routing/decision.js';
import { pointersIn } from './pointer.js';

export type Mode = 'sequential' | 'parallel';
/** What the steps' results make together. */
export type Aggregate = 'all' | 'first_success' | 'llm';

/** As the caller wrote it: a step asks for something, or is a plan of its own whose steps may not be. */
export interface WrittenStep extends Wish {
  readonly name?: string | undefined;
  readonly parameters?: Record<string, JsonValue> | undefined;
  readonly on_failure?: 'stop' | 'continue' | undefined;
  readonly plan?: WrittenPlan | undefined;
}

export interface WrittenPlan {
  readonly mode: Mode;
  readonly steps: readonly WrittenStep[];
  readonly aggregate?: Aggregate | undefined;
  readonly max_parallel?: number | undefined;
}

interface Named {
  readonly name: string;
  /** Its number among its siblings, after that of the step it belongs to: "2", "2.1". */
  readonly place: string;
  /** Its failure ends the group it stands in. */
  readonly stops: boolean;
}

export interface CallStep extends Named {
  readonly wish: Wish;
  readonly parameters: Record<string, JsonValue>;
}

export interface GroupStep extends Named {
  readonly group: Group;
}

export type Step = CallStep | GroupStep;

export interface Group {
  readonly mode: Mode;
  readonly steps: readonly Step[];
  readonly aggregate: Aggregate;
  /** Steps that run at the same time. */
  readonly width: number;
}

/** Calls in one plan, those of inner plans included. */
export const MAX_STEPS = 50;
export const STEP_NAME = /^[A-Za-z0-9_-]{1,64}$/;
const WIDTH = 10;

/** Gives every step its name and place. Throws `invalid_request`, naming each field, for a plan that could never be carried. */
export function readPlan(written: WrittenPlan): Group {
  const reading = new Reading();
  const group = reading.group(written, { path: 'plan', place: '', before: [] });
  if (reading.calls > MAX_STEPS) reading.wrong('plan.steps', `has ${reading.calls} calls in all; a plan has at most ${MAX_STEPS}`);
  if (reading.problems.length === 0) return group;
  const detail = reading.problems.map(({ field, message }) => `${field}: ${message}`).join('; ');
  throw new OrchestratorError('invalid_request', detail, { fields: reading.problems });
}

/** Where a step is read: its place in the body, and the steps whose results it may point into. */
interface At {
  readonly path: string;
  readonly place: string;
  readonly before: readonly string[];
}

class Reading {
  readonly problems: { field: string; message: string }[] = [];
  calls = 0;
  private readonly names = new Set<string>();

  wrong(field: string, message: string): void {
    this.problems.push({ field, message });
  }

  group({ mode, steps, aggregate = 'all', max_parallel = WIDTH }: WrittenPlan, { path, place, before }: At): Group {
    let known = before;
    const read = steps.map((step, i) => {
      const at = { path: `${path}.steps.${i}`, place: place === '' ? `${i + 1}` : `${place}.${i + 1}`, before: known };
      const one = this.step(step, at, mode === 'sequential' && aggregate !== 'first_success');
      if (mode === 'sequential') known = [...known, ...namesOf(one)];
      return one;
    });
    return { mode, steps: read, aggregate, width: mode === 'sequential' ? 1 : max_parallel };
  }

  private step(written: WrittenStep, at: At, strict: boolean): Step {
    const { name = `step${at.place.replace('.', '_')}`, on_failure, plan, parameters = {}, ...wish } = written;
    if (this.names.has(name)) this.wrong(`${at.path}.name`, `"${name}" is the name of another step`);
    this.names.add(name);
    const named = { name, place: at.place, stops: on_failure === undefined ? strict : on_failure === 'stop' };
    if (plan) return { ...named, group: this.group(plan, { ...at, path: `${at.path}.plan` }) };
    this.calls += 1;
    for (const { where, tokens, problem } of pointersIn(parameters)) {
      const field = `${at.path}.parameters${where}`;
      if (tokens === undefined) this.wrong(field, problem);
      else if (!at.before.includes(tokens[0]!))
        this.wrong(field, `points at "${tokens[0]}", which is no step that has ended before this one`);
    }
    return { ...named, wish, parameters };
  }
}

/** Of the step, and of those in it. */
const namesOf = (step: Step): string[] => [step.name, ...('group' in step ? step.group.steps.map(({ name }) => name) : [])];

/** The calls of a group, in the order in which they are written. */
export const callsOf = (group: Group): CallStep[] => group.steps.flatMap((step) => ('group' in step ? callsOf(step.group) : [step]));
