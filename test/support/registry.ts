/** A registry of agents that are never called, and what `route()` must know beside it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentRegistry, type RegisteredAgent } from '../../src/agents/directory.js';
import { misfit } from '../../src/agents/schema-check.system.js';
import { UnspokenClient } from '../../src/agents/unspoken.client.js';
import type { JsonValue } from '../../src/kernel/json.js';
import type { Place } from '../../src/routing/balance.js';
import type { Condition } from '../../src/routing/conditions.js';
import type { Decision, Knowledge } from '../../src/routing/decision.js';
import type { Evidence } from '../../src/routing/evidence.js';
import { Lexicon } from '../../src/routing/lexicon.js';
import { readMeanings } from '../../src/routing/meanings.js';
import { RoutingFile, Rules } from '../../src/routing/rules.js';

/** What words mean, as it is shipped. */
export const MEANINGS = readMeanings(readFileSync(join(__dirname, '../../data/meanings.bin')));

type Offered = RegisteredAgent['description']['capabilities'][number];
type Described = Partial<Omit<RegisteredAgent['description'], 'capabilities'>> & { agent_id: string };

export const offers = (name: string, more: Partial<Offered> = {}): Offered => ({ name, description: '', ...more });

export function agent(described: Described, capabilities: Offered[], status: RegisteredAgent['status'] = 'available'): RegisteredAgent {
  const { agent_id } = described;
  return {
    description: { name: agent_id, description: '', version: '1.0.0', ...described, capabilities },
    protocol: 'test',
    endpoint: null,
    client: new UnspokenClient('test'),
    record: `record of ${agent_id}`,
    registered_at: '2026-11-20T10:00:00.000Z',
    status,
    source: { by: 'api', tenant: 'default' },
  };
}

export function registryOf(agents: readonly RegisteredAgent[]): AgentRegistry {
  const registry = new AgentRegistry();
  for (const one of agents) registry.put(one);
  registry.position = 7;
  return registry;
}

interface Circumstances {
  rules?: unknown;
  conditions?: Record<string, Partial<Condition>>;
  places?: Record<string, Place>;
  settings?: Partial<Knowledge>;
}

/** What stands in a test decides; the rest is quiet: all are well, whoever stands first is next, no model. */
export function knowing(
  agents: readonly RegisteredAgent[],
  { rules = {}, conditions = {}, places = {}, settings = {} }: Circumstances = {},
): Knowledge {
  const registry = registryOf(agents);
  return {
    directory: registry,
    condition: (id) => ({ breaker: 'closed', running: 0, full: false, ...conditions[id] }),
    balancing: 'weighted_round_robin',
    place: (_, { description }) => places[description.agent_id] ?? { score: 1, turn: 1 },
    misfit: (schema, value) => misfit(schema, value, '/parameters'),
    rules: new Rules(RoutingFile.parse(rules)),
    lexicon: () => new Lexicon(registry.all(), MEANINGS),
    strategy: 'simple',
    threshold: 0.7,
    shown: null,
    ...settings,
  };
}

export const evidenceOf = ({ evidence }: { evidence: JsonValue }) => evidence as unknown as Evidence;
export const idsOf = ({ ranked }: Decision) => ranked.map((choice) => choice.agent.description.agent_id);
