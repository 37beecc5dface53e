/** Holds both sides of a call to the schemas of its capability. */
import type { RegisteredAgent } from '../agents/directory.js';
import { misfit } from '../agents/schema-check.system.js';
import { failed, type Outcome } from '../contracts/contract.js';
import type { JsonValue } from '../kernel/json.js';
import type { Ended } from './retry.js';

/** How the contract ends without a call; undefined if the parameters fit. */
export function unfitInput(agent: RegisteredAgent, capability: string, parameters: JsonValue): Outcome | undefined {
  const why = misfit(schemasOf(agent, capability)?.input_schema, parameters, '/parameters');
  return why === null ? undefined : failed('invalid_input', `the parameters do not fit the input schema of "${capability}": ${why}`);
}

/** A result that does not fit is no result: it is kept in `raw`, where nobody takes it for one. */
export function fitOutput(agent: RegisteredAgent, capability: string, outcome: Ended): Ended {
  if (outcome.status !== 'completed') return outcome;
  const data = outcome.result ?? null;
  const why = misfit(schemasOf(agent, capability)?.output_schema, data, '/data');
  if (why === null) return outcome;
  const { status: _, result: __, raw = { value: data }, ...said } = outcome;
  return failed('agent_invalid_output', `the result does not fit the output schema of "${capability}": ${why}`, { ...said, raw });
}

const schemasOf = ({ description }: RegisteredAgent, capability: string) => description.capabilities.find((c) => c.name === capability);
