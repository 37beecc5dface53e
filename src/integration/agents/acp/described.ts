/** What all dialects do to a description that comes from a stranger: fit it to our rules, or say why it cannot be used. */
import { AgentDescription, type KnownDescription } from '../../../agents/agent.js';
import type { JsonValue } from '../../../kernel/json.js';
import { agentIdFrom, fitted } from '../agent-id.js';

const MAX_VERSION = 64;
const MAX_CAPABILITY = 128;
const MAX_NAME = 200;
const MAX_DESCRIPTION = 4000;

export interface Described {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly version?: string | undefined;
  readonly capabilities: readonly DescribedCapability[];
}

export interface DescribedCapability {
  readonly name: string;
  readonly description: string;
  readonly input?: JsonValue | undefined;
  readonly output?: JsonValue | undefined;
  readonly tags?: readonly string[] | undefined;
}

/**
 * The description as the registry takes it, or in words why there is none. Characters that ids, versions and capability names cannot have become
 * `-`. A schema that no value could be held to is left out, and so is a capability without a usable name of its own; the description says so,
 * and the document keeps both as they came: one slip does not make an agent unreachable.
 */
export function describe(said: Described): KnownDescription | string {
  const description = {
    agent_id: agentIdFrom(said.id),
    name: said.name.slice(0, MAX_NAME),
    description: said.description.slice(0, MAX_DESCRIPTION),
    ...(said.version && { version: fitted(said.version, /[^A-Za-z0-9.+_-]+/g, MAX_VERSION) }),
    capabilities: said.capabilities.map(capabilityOf),
  };
  let issues: readonly { path: PropertyKey[]; message: string }[] = [];
  // Names are compared only when each is a name, hence the second mending.
  for (let mended = 0; mended <= 2; mended += 1) {
    const parsed = AgentDescription.safeParse(description);
    if (parsed.success) return parsed.data;
    issues = parsed.error.issues;
    const odd = new Map<Known, string>();
    for (const { path, message } of issues) {
      const [list, index, which] = path;
      const capability = list === 'capabilities' ? description.capabilities[Number(index)] : undefined;
      if (!capability) continue;
      if (which !== 'input_schema' && which !== 'output_schema') odd.set(capability, message);
      else if (capability[which] !== undefined) {
        delete capability[which];
        remark(capability, `Its ${which} is not used: ${message}`);
      }
    }
    description.capabilities = description.capabilities.filter((capability) => !odd.has(capability));
    for (const [{ name }, why] of [...odd].slice(0, 3)) remark(description, `Left out: capability "${name}", ${why}`);
  }
  return issues
    .map(({ path, message }) => `${path.join('.')}: ${message}`)
    .slice(0, 5)
    .join('; ');
}

function remark(described: { description: string }, words: string): void {
  const added = ` (${words.slice(0, 300)})`;
  described.description = described.description.slice(0, MAX_DESCRIPTION - added.length) + added;
}

interface Known {
  name: string;
  description: string;
  input_schema?: unknown;
  output_schema?: unknown;
  tags?: string[];
}

function capabilityOf(said: DescribedCapability): Known {
  const name = fitted(said.name, /[^A-Za-z0-9._:/-]+/g, MAX_CAPABILITY);
  const description = name === said.name ? said.description : `${said.name}: ${said.description}`;
  const capability: Known = { name, description: description.slice(0, MAX_DESCRIPTION) };
  if (said.input != null) capability.input_schema = said.input;
  if (said.output != null) capability.output_schema = said.output;
  if (said.tags?.length) capability.tags = said.tags.slice(0, 50).map((tag) => tag.slice(0, 100));
  return capability;
}
