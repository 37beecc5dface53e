/** What a language model may choose from, and what is made of what it says. Its word is a proposal: it counts only where it stands up to a check. */
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';
import type { ModelEvidence } from './evidence.js';
import { ModelAnswer, type Shown } from './prompt.js';

/** Of how many. */
export interface Shortlist {
  readonly shown: readonly Shown[];
  readonly of: number;
}

/** What came of asking the model: recorded as it is, and all that is needed to decide again. */
export type Reply = ModelEvidence;

export interface Proposal {
  readonly capability: string;
  readonly agent_id: string;
  readonly confidence: number;
  readonly parameters: Record<string, JsonValue>;
}

/** What it proposes, or why nothing of what it says counts. */
export function readReply({ answer, error, shown }: Reply): Proposal | { why: string } {
  if (answer === undefined) return { why: error ?? 'it gave no answer' };
  const parsed = ModelAnswer.safeParse(answer);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { why: `its answer has not the form that was asked for: ${[...issue!.path, issue!.message].join(' ')}` };
  }
  const { agent_id, capability, confidence } = parsed.data;
  if (agent_id === null || capability === null) return { why: 'none of the candidates can do it, it says' };
  if (!shown.some((one) => one.agent_id === agent_id && one.capability === capability))
    return { why: `it chose "${agent_id}" with "${capability}", which is not among the candidates` };
  return { agent_id, capability, confidence, parameters: parsed.data.parameters as Record<string, JsonValue> };
}

interface Offer {
  readonly agent: RegisteredAgent;
  readonly capability: string;
}

type Offered = RegisteredAgent['description']['capabilities'][number];

const MOST_TEXT = 1000;
const MOST_SCHEMA = 4000;

export function shown({ agent, capability }: Offer): Shown {
  const offered = offeredBy(agent, capability)!;
  return {
    agent_id: agent.description.agent_id,
    capability,
    description: cut(offered.description, MOST_TEXT),
    agent: cut([agent.description.name, agent.description.description].filter(Boolean).join(': '), MOST_TEXT),
    input_schema: schema(offered),
  };
}

/** A schema that is too large is shown by the names of its members. */
function schema({ input_schema }: Offered): JsonValue {
  if (input_schema === undefined || JSON.stringify(input_schema).length <= MOST_SCHEMA) return input_schema ?? null;
  const members = Object.keys((input_schema['properties'] as object | undefined) ?? {});
  return { properties: members.slice(0, 100), required: input_schema['required'] ?? [] };
}

/** Do both mean the same by the capability, in the same words and with the same schemas? Then the model is shown one of them. */
export const meaning = (agent: RegisteredAgent, capability: string): string => JSON.stringify(offeredBy(agent, capability));

const offeredBy = (agent: RegisteredAgent, capability: string): Offered | undefined =>
  agent.description.capabilities.find(({ name }) => name === capability);

const cut = (text: string, most: number): string => (text.length <= most ? text : `${text.slice(0, most)}…`);
