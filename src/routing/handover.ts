/** How an agent gets what somebody said: as the one parameter that is there for it. */
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonSchema } from '../agents/json-schema.js';
import type { JsonValue } from '../kernel/json.js';

type Parameters = Readonly<Record<string, JsonValue>>;

/** The parameter that says it, unless the schema names another. */
const MESSAGE = 'message';

export interface Handover {
  readonly parameters: Record<string, JsonValue>;
  /** The parameter the message became; null: none of it is there for a text, or the caller filled it. */
  readonly as: string | null;
}

/**
 * The parameters with the message among them: as `message` where the input schema has it or leaves it open; otherwise as the one parameter
 * that is required, is a text, and is not given yet. What is given stays as it is.
 */
export function handover(message: string, given: Parameters, schema: JsonSchema | undefined): Handover {
  const as = place(given, schema);
  return as === null ? { parameters: { ...given }, as } : { parameters: { ...given, [as]: message }, as };
}

function place(given: Parameters, schema: JsonSchema | undefined): string | null {
  const properties = objectOf(schema?.['properties']);
  if (Object.hasOwn(properties, MESSAGE)) return Object.hasOwn(given, MESSAGE) || !isText(properties[MESSAGE]) ? null : MESSAGE;
  const required = Array.isArray(schema?.['required']) ? schema['required'].filter((name) => typeof name === 'string') : [];
  const missing = required.filter((name) => !Object.hasOwn(given, name));
  const [only, ...others] = missing;
  if (only !== undefined && others.length === 0 && isText(properties[only])) return only;
  return isOpen(schema, properties) && missing.length === 0 && !Object.hasOwn(given, MESSAGE) ? MESSAGE : null;
}

/** It says nothing of its members. */
const isOpen = (schema: JsonSchema | undefined, properties: object): boolean =>
  schema?.['additionalProperties'] !== false && schema?.['unevaluatedProperties'] !== false && Object.keys(properties).length === 0;

function isText(property: JsonValue | undefined): boolean {
  const { type, enum: listed, const: fixed } = objectOf(property);
  if (listed !== undefined || fixed !== undefined) return false;
  return type === undefined || type === 'string' || (Array.isArray(type) && type.includes('string'));
}

const objectOf = (value: JsonValue | undefined): Record<string, JsonValue> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};

export const schemaOf = (agent: RegisteredAgent, capability: string): JsonSchema | undefined =>
  agent.description.capabilities.find(({ name }) => name === capability)?.input_schema;
