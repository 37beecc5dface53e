/**
 * What an agent card says, in our words. A2A has no schemas for skills: they are read from an extension of the card (see docs/agents.md),
 *
 *     "capabilities": {"extensions": [{"uri": "urn:agent-orchestrator:a2a-skill-schemas:1",
 *       "params": {"skills": {"<skill id>": {"inputSchema": {…}, "outputSchema": {…}}}}}]}
 *
 * or, as other registries do, from `inputSchema` and `outputSchema` of the skill itself.
 */
import { AgentDescription, AgentId, type KnownDescription } from '../../../agents/agent.js';
import { type JsonSchema, judge } from '../../../agents/json-schema.js';
import type { JsonValue } from '../../../kernel/json.js';
import { agentIdFrom, fitted } from '../agent-id.js';
import { type Card, notUnderstood, type Skill } from './card.js';

export const SCHEMAS_EXTENSION = 'urn:agent-orchestrator:a2a-skill-schemas:1';

const MOST = { description: 4000, name: 200, list: 50, tag: 100 };

type Capability = AgentDescription['capabilities'][number];

export function describe(card: Card): KnownDescription {
  const schemas = schemasOf(card);
  const names = capabilityNames(card.skills);
  const description: AgentDescription = {
    agent_id: agentIdOf(card.name),
    name: card.name.slice(0, MOST.name),
    description: (card.description ?? '').slice(0, MOST.description),
    ...(card.version && { version: fitted(card.version, /[^A-Za-z0-9.+_-]+/g, 64) || '1.0.0' }),
    capabilities: card.skills.map((skill, i) => capability(names[i]!, skill, schemas)),
  };
  const parsed = AgentDescription.safeParse(description);
  if (parsed.success) return parsed.data;
  throw notUnderstood(parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '));
}

/** One name per skill, in order: its id with what our names may not hold as `-`; the second of two equal ones ends in `-2`. */
export function capabilityNames(skills: readonly Pick<Skill, 'id'>[]): string[] {
  const taken = new Set<string>();
  return skills.map(({ id }, i) => {
    const name = fitted(id, /[^A-Za-z0-9._:/-]+/g, 120) || `skill-${i + 1}`;
    let free = name;
    for (let n = 2; taken.has(free); n++) free = `${name}-${n}`;
    taken.add(free);
    return free;
  });
}

function capability(name: string, skill: Skill, schemas: Schemas): Capability {
  const own = schemas.of(skill);
  const title = skill.name && skill.name !== skill.id ? `${skill.name}: ` : '';
  const notes = [...own.notes, ...(name === skill.id ? [] : [`(A2A skill ${JSON.stringify(skill.id.slice(0, MOST.name))})`])];
  const room = MOST.description - notes.join(' ').length - 1;
  return {
    name,
    description: [`${title}${skill.description ?? ''}`.slice(0, room), ...notes].filter(Boolean).join(' '),
    ...(own.input && { input_schema: own.input }),
    ...(own.output && { output_schema: own.output }),
    tags: (skill.tags ?? []).slice(0, MOST.list).map((tag) => tag.slice(0, MOST.tag)),
    examples: (skill.examples ?? []).slice(0, MOST.list),
  };
}

interface Schemas {
  of(skill: Skill): { input?: JsonSchema; output?: JsonSchema; notes: string[] };
}

/** A schema nothing can be held to is left out and said so: the rest of the agent is of use without it. */
function schemasOf(card: Card): Schemas {
  const extension = (card.capabilities?.extensions ?? []).find(({ uri }) => uri === SCHEMAS_EXTENSION);
  const bySkill = objectAt(extension?.params, 'skills');
  const mustCompile = judge();
  const usable = (schema: JsonValue | undefined, what: string, notes: string[]): JsonSchema | undefined => {
    if (schema === undefined || schema === null) return undefined;
    try {
      if (typeof schema !== 'object' || Array.isArray(schema)) throw new Error('it is no object');
      mustCompile(schema);
      return schema;
    } catch (error) {
      notes.push(`(Its ${what} schema is not used: ${(error as Error).message.slice(0, MOST.name)})`);
      return undefined;
    }
  };
  return {
    of(skill) {
      const told = objectAt(bySkill, skill.id) ?? (skill as { [key: string]: JsonValue });
      const notes: string[] = [];
      const input = usable(told['inputSchema'], 'input', notes);
      const output = usable(told['outputSchema'], 'output', notes);
      return { notes, ...(input && { input }), ...(output && { output }) };
    },
  };
}

function objectAt(value: JsonValue | undefined, name: string): { [key: string]: JsonValue } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) return undefined;
  const found = value[name];
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? found : undefined;
}

function agentIdOf(name: string): string {
  const id = agentIdFrom(name);
  if (id === '') return 'a2a-agent';
  return AgentId.safeParse(id).success ? id : `a2a-${id}`.slice(0, 64);
}
