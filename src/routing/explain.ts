/** A recorded decision in words, for people. Reads what earlier versions wrote too: a member it does not know it passes over. */
import { z } from 'zod';
import type { JsonValue } from '../kernel/json.js';

const Named = z.object({
  agent_id: z.string(),
  capability: z.string().optional(),
  score: z.number().optional(),
  turn: z.number().optional(),
  match: z.number().optional(),
  meaning: z.number().optional(),
  refused: z.string().optional(),
});
type Named = z.output<typeof Named>;

const Chosen = z.object({
  agent_id: z.string().nullish(),
  capability: z.string().nullish(),
  confidence: z.number().optional(),
  reasoning: z.string().optional(),
});

const Recorded = z.object({
  method: z.string(),
  registry: z.number().optional(),
  candidates: z.array(z.union([z.string().transform((agent_id): Named => ({ agent_id })), Named])).default([]),
  more: z.number().optional(),
  balancing: z.string().optional(),
  preferred_protocol: z.string().optional(),
  message_as: z.string().optional(),
  strategy: z.string().optional(),
  threshold: z.number().optional(),
  confidence: z.number().optional(),
  rules: z.array(z.object({ name: z.string(), capability: z.string(), confidence: z.number(), matched: z.array(z.string()) })).default([]),
  lexical: z.object({ confidence: z.number(), meaning: z.number().optional() }).optional(),
  llm: z
    .object({
      model: z.string(),
      prompt: z.string(),
      shown: z.array(z.unknown()),
      of: z.number(),
      ms: z.number(),
      answer: Chosen.optional().catch(undefined),
      input_tokens: z.number().optional(),
      output_tokens: z.number().optional(),
      error: z.string().optional(),
    })
    .optional(),
  passed_over: z.array(z.object({ agent_id: z.string(), reason: z.string() })).default([]),
  attempt: z.number().optional(),
  after: z.object({ contract_id: z.string(), agent_id: z.string().nullable(), error_code: z.string().nullable() }).optional(),
  fell_back: z.array(z.object({ from: z.string(), why: z.string() })).default([]),
});
type Recorded = z.output<typeof Recorded>;

/** What the decision came to, as the record has it. */
export interface Outcome {
  readonly agent_id: string | null;
  readonly capability: string | null;
  /** Why nobody got it. */
  readonly error: string | null;
}

const BY: Record<string, string> = {
  agent_id: 'the caller named the agent',
  capability: 'the caller named the capability',
  rule: 'a rule of the operator matched the message',
  lexical: 'its words fit the message best',
  llm: 'a language model chose it',
  fallback: 'it takes what fits nobody',
  none: 'no rung was sure enough',
};

/** Line by line. `evidence` null: it was erased, or never recorded. */
export function explain(evidence: JsonValue, outcome: Outcome): string[] {
  const head =
    outcome.agent_id === null
      ? `Nobody got it: ${outcome.error ?? 'no agent was found'}.`
      : `${outcome.agent_id} got it as ${outcome.capability}`;
  const read = Recorded.safeParse(evidence);
  if (!read.success)
    return [head, evidence === null ? 'Why is not on the record (any more).' : 'Why is recorded in a form this version cannot read.'];
  const recorded = read.data;
  if (recorded.method === 'plan') return ['It is a plan: each of its steps was decided by itself, and its own contract says how.'];
  const by = BY[recorded.method] ?? recorded.method;
  return [
    outcome.agent_id === null ? head : `${head}: ${by}${sureness(recorded)}.`,
    ...(recorded.message_as ? [`The message was handed over as the parameter "${recorded.message_as}".`] : []),
    ...candidates(recorded),
    ...(recorded.preferred_protocol ? [`Of those who could, the caller preferred who speaks ${recorded.preferred_protocol}.`] : []),
    ...recorded.rules.map((rule) => `Rule "${rule.name}" means ${rule.capability} with ${rule.confidence}: ${rule.matched.join(', ')}`),
    ...(recorded.lexical ? [byWords(recorded.lexical)] : []),
    ...model(recorded.llm),
    ...recorded.fell_back.map(({ from, why }) => `${from === 'llm' ? 'The language model' : from} did not decide: ${why}`),
    ...recorded.passed_over.map(({ agent_id, reason }) => `Passed over when it came to the call: ${agent_id}, ${reason}`),
    ...(recorded.after
      ? [
          `Attempt ${recorded.attempt ?? 2}, after contract ${recorded.after.contract_id} at ${recorded.after.agent_id} ended ${recorded.after.error_code}.`,
        ]
      : []),
    ...(recorded.registry === undefined ? [] : [`The registry was known up to idx ${recorded.registry}.`]),
  ];
}

function byWords({ confidence, meaning }: NonNullable<Recorded['lexical']>): string {
  if (confidence === 0) return 'No word of the message stands with any capability.';
  if (!meaning) return `By words alone the nearest is meant with ${confidence}.`;
  return `By words and their meaning the nearest is meant with ${confidence}; ${Math.round(100 * meaning)} % of how near it is comes from meaning.`;
}

function sureness({ confidence, threshold, strategy }: Recorded): string {
  const sure = confidence === undefined ? '' : ` (${confidence}${threshold === undefined ? '' : `, ${threshold} is needed`})`;
  return strategy === undefined ? sure : `${sure}, strategy ${strategy}`;
}

function candidates({ candidates: all, balancing, more }: Recorded): string[] {
  if (all.length === 0) return ['Nobody was looked at.'];
  const lines = all.map(({ agent_id, capability, score, turn, match, meaning, refused }) => {
    const numbers = Object.entries({ score, turn, match, meaning }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name} ${value}`],
    );
    const what = [agent_id, capability].filter(Boolean).join(' as ');
    return `  ${what}${numbers.length > 0 ? ` (${numbers.join(', ')})` : ''}${refused === undefined ? '' : `: ${refused}`}`;
  });
  return [`Candidates${balancing ? `, ranked by ${balancing}` : ''}:`, ...lines, ...(more ? [`  and ${more} more`] : [])];
}

function model(llm: Recorded['llm']): string[] {
  if (!llm) return [];
  const tokens = llm.input_tokens === undefined ? '' : `, ${llm.input_tokens} tokens in and ${llm.output_tokens} out`;
  const about = `Language model ${llm.model} saw ${llm.shown.length} of ${llm.of} candidates (${llm.ms} ms${tokens}; prompt ${llm.prompt.slice(0, 12)})`;
  const { answer, error } = llm;
  if (error !== undefined) return [`${about}: ${error}`];
  if (!answer) return [`${about}: its answer could not be read`];
  const said = answer.agent_id && answer.capability ? `${answer.agent_id} as ${answer.capability}` : 'none of them';
  return [
    `${about} and said ${said}, ${answer.confidence ?? 'without confidence'}`,
    ...(answer.reasoning ? [`  "${answer.reasoning}"`] : []),
  ];
}
