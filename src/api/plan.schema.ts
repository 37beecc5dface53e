/** Plans as they are asked for, and what is told of them. */
import { z } from 'zod';
import { MAX_STEPS, STEP_NAME } from '../orchestration/plan.js';
import { asksSomething, ContractError, JsonObject, NAMELESS, OF_ONE_CALL, Task } from './task.schema.js';
import { FileReference, Json, Ulid } from './words.schema.js';

const MODES = ['sequential', 'parallel'] as const;

const named = {
  name: z.string().regex(STEP_NAME, 'must be 1 to 64 letters, digits, _ or -').optional().describe('`step` and its number unless given'),
  on_failure: z
    .enum(['stop', 'continue'])
    .optional()
    .describe(
      'Whether its failure ends the steps beside it. `stop` in a sequence, `continue` at once and with `first_success`, unless given',
    ),
};

const call = {
  ...named,
  ...Task,
  parameters: JsonObject.optional().meta({
    description:
      'What the agent gets. In a sequence `{"$from": "step1.result.text"}` stands for that value of an earlier step; a JSON Pointer, `/step1/result/text`, does too',
  }),
};

const rules = {
  mode: z.enum(MODES).describe('One after the other, or at once'),
  max_parallel: z.int().min(1).max(MAX_STEPS).optional().describe('How many steps run at once; 10 unless given'),
};

const InnerStep = z.strictObject(call).refine(asksSomething, { error: NAMELESS, path: ['capability'] });

const InnerPlan = z.strictObject({
  ...rules,
  steps: z.array(InnerStep).min(1).max(MAX_STEPS),
  aggregate: z.enum(['all', 'first_success']).optional().describe('What stands as the result of this step; `all` unless given'),
});

const Step = z
  .strictObject({ ...call, plan: InnerPlan.optional().describe('Instead: steps within this step') })
  .superRefine((step, context) => {
    if (step.plan === undefined) {
      if (!asksSomething(step)) context.addIssue({ code: 'custom', message: `${NAMELESS}, or give a plan`, path: ['capability'] });
      return;
    }
    for (const field of OF_ONE_CALL)
      if (step[field] !== undefined) context.addIssue({ code: 'custom', message: 'belongs to the steps of the inner plan', path: [field] });
  });

export const Plan = z
  .strictObject({
    ...rules,
    steps: z.array(Step).min(1).max(MAX_STEPS),
    aggregate: z
      .enum(['all', 'first_success', 'llm'])
      .optional()
      .describe(
        'What `aggregated_result` is: all results by name (unless given), the first there is, or one answer by the language model, with citations',
      ),
  })
  .meta({
    id: 'Plan',
    description: 'Several calls under one task, 50 at most (docs/plans.md)',
    examples: [
      {
        mode: 'sequential',
        steps: [
          { name: 'first', capability: 'echo', parameters: { text: 'Hello' } },
          { name: 'second', capability: 'uppercase', parameters: { text: { $from: 'first.result.message' } } },
        ],
      },
    ],
  });

const result = {
  name: z.string(),
  status: z.enum(['completed', 'failed', 'cancelled', 'not_run']),
  contract_id: Ulid.nullable().describe('Of the REQUEST; null: no agent was asked'),
  agent_id: z.string().nullable(),
  capability: z.string().nullable(),
  result: Json,
  text: z.string().nullable(),
  files: z.array(FileReference),
  error: z.string().nullable().describe('What went wrong, or why it was not run'),
  error_code: ContractError,
};

export const StepResult = z
  .object({ ...result, steps: z.array(z.object(result)).optional().describe('Of a step that is a plan') })
  .meta({ id: 'StepResult' });

export const PlanResult = z
  .object({
    aggregate: z.enum(['all', 'first_success', 'llm']),
    aggregated_result: Json,
    individual_results: z.array(StepResult),
    failed_agents: z.array(z.string()).describe('Who was asked last in a step that failed'),
    success_rate: z.number().min(0).max(1).describe('Calls that completed ÷ all calls of the plan'),
  })
  .meta({ id: 'PlanResult', description: '`data` of a plan' });
