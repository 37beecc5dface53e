/** Who of those who offer a capability can take a task, who of them goes first, and why the others cannot. */
import type { RegisteredAgent } from '../agents/directory.js';
import type { JsonSchema } from '../agents/json-schema.js';
import type { JsonValue } from '../kernel/json.js';
import { type Balancing, compare, type Place } from './balance.js';
import type { Condition } from './conditions.js';
import { handover, schemaOf } from './handover.js';

export type RefusalReason = 'stopped' | 'unhealthy' | 'breaker_open' | 'over_limit' | 'schema_mismatch' | 'low_score';

export interface Candidate {
  readonly agent: RegisteredAgent;
  /** null: it can take it. `unhealthy` ones take it where nobody else is left: what is known of them may be a moment old. */
  readonly refused: RefusalReason | null;
  /** null: it was the only one, or is refused. */
  readonly place: Place | null;
  /** What it gets; undefined: what the caller gave, as it is. */
  readonly parameters: Record<string, JsonValue> | undefined;
  /** The parameter the message became. */
  readonly messageAs: string | null;
}

/** What a candidate is held to. */
export interface Terms {
  readonly capability: string;
  readonly message: string | undefined;
  readonly given: Readonly<Record<string, JsonValue>>;
  /** A protocol; `acp` stands for all of its kinds. */
  readonly preferred: string | undefined;
}

export interface Circumstances {
  condition(agentId: string, record: string): Condition;
  readonly balancing: Balancing;
  place(capability: string, agent: RegisteredAgent): Place;
  /** In words, why the value does not fit; null if it does. */
  misfit(schema: JsonSchema | undefined, value: JsonValue): string | null;
}

/** Best first: who can take it, of them whom the caller prefers, in the order of balancing; then who is unwell; then who is refused, as they came. */
export function weigh(agents: readonly RegisteredAgent[], terms: Terms, around: Circumstances): Candidate[] {
  const [only, ...others] = agents;
  if (!only) return [];
  if (others.length === 0) return [{ ...given(only, terms), refused: obstacle(only, around), place: null }];
  const all = agents.map((agent) => ({ ...given(agent, terms), refused: obstacle(agent, around), place: null as Place | null }));
  const fitting = fitters(all, terms, around);
  const weighed = all.map((candidate) => {
    const { agent } = candidate;
    const refused = candidate.refused ?? (fitting.has(agent) ? null : 'schema_mismatch');
    const able = refused === null || refused === 'unhealthy';
    return { ...candidate, refused, place: able ? around.place(terms.capability, agent) : null };
  });
  const rank = ({ refused }: Candidate) => (refused === null ? 0 : refused === 'unhealthy' ? 1 : 2);
  const liked = ({ agent }: Candidate) => (terms.preferred !== undefined && speaks(agent, terms.preferred) ? 0 : 1);
  const balanced = (a: Candidate, b: Candidate) => (a.place && b.place ? compare(around.balancing, a.place, b.place) : 0);
  return weighed.sort((a, b) => rank(a) - rank(b) || liked(a) - liked(b) || balanced(a, b));
}

const speaks = ({ protocol }: RegisteredAgent, preferred: string): boolean =>
  protocol === preferred || protocol.startsWith(`${preferred}-`);

/** Can take it, if only at worst. */
export const isAble = ({ refused }: Candidate): boolean => refused === null || refused === 'unhealthy';

/** Why the agent itself cannot take it, or can only at worst. */
export function obstacle({ status, description, record }: RegisteredAgent, around: Circumstances): RefusalReason | null {
  if (status === 'stopped' || status === 'retired') return 'stopped';
  const { breaker, full } = around.condition(description.agent_id, record);
  if (breaker === 'open') return 'breaker_open';
  if (full) return 'over_limit';
  return status === 'available' ? null : 'unhealthy';
}

function given(
  agent: RegisteredAgent,
  { message, given: parameters, capability }: Terms,
): Pick<Candidate, 'agent' | 'parameters' | 'messageAs'> {
  if (message === undefined) return { agent, parameters: undefined, messageAs: null };
  const { parameters: all, as } = handover(message, parameters, schemaOf(agent, capability));
  return { agent, parameters: all, messageAs: as };
}

/** Where all have one schema nobody is refused for it: the call itself then ends for what the parameters lack. The same where they fit nobody's. */
function fitters(all: readonly Omit<Candidate, 'place'>[], terms: Terms, around: Circumstances): ReadonlySet<RegisteredAgent> {
  const everybody = new Set(all.map(({ agent }) => agent));
  const schemas = new Map(all.map(({ agent }) => [agent, schemaOf(agent, terms.capability)]));
  const texts = new Map([...schemas].map(([agent, schema]) => [agent, textOf(schema)]));
  if (new Set(texts.values()).size === 1) return everybody;
  const known = new Map<string, boolean>();
  const fits = all.filter(({ agent, parameters = terms.given }) => {
    const text = texts.get(agent)!;
    const result = known.get(text) ?? around.misfit(schemas.get(agent), parameters) === null;
    known.set(text, result);
    return result;
  });
  return fits.length > 0 ? new Set(fits.map(({ agent }) => agent)) : everybody;
}

const written = new WeakMap<JsonSchema, string>();

/** Schemas never change, so each is written out once. */
function textOf(schema: JsonSchema | undefined): string {
  if (schema === undefined) return '';
  const text = written.get(schema) ?? JSON.stringify(schema);
  written.set(schema, text);
  return text;
}
