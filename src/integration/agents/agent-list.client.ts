/** Lists of agents: a JSON array, or `{agents: […]}`, of addresses, of objects with a `url`, or of another orchestrator's descriptions. */
import { z } from 'zod';
import { AgentId } from '../../agents/agent.js';
import type { Stop } from '../../agents/agent-client.js';
import type { Discovered } from '../../agents/agent-protocol.js';
import type { Listing } from '../../agents/agent-protocols.js';
import { getDocument } from './document.client.js';
import type { Outgoing } from './outgoing.client.js';

const MOST = 1000;

const Described = z.looseObject({
  agent_id: AgentId,
  name: z.string(),
  protocol: z.string(),
  endpoint: z.string(),
  capabilities: z.array(z.looseObject({ name: z.string() })),
});
const Item = z.union([z.string(), Described, z.looseObject({ url: z.string() })]);
const List = z.union([z.array(z.unknown()), z.object({ agents: z.array(z.unknown()) }).transform(({ agents }) => agents)]);

export async function listAgents(
  outgoing: Outgoing,
  url: string,
  asked: { readonly stop: Stop; readonly etag?: string },
): Promise<Listing | 'unchanged' | null> {
  const { status, json, etag } = await getDocument(outgoing, url, asked);
  if (status === 304) return 'unchanged';
  const list = List.safeParse(json);
  if (status !== 200 || !list.success) return null;
  const agents: Discovered[] = [];
  const elsewhere: string[] = [];
  for (const one of list.data.slice(0, MOST)) {
    const { data: item } = Item.safeParse(one);
    if (typeof item === 'string') elsewhere.push(item);
    else if (item && isDescribed(item)) agents.push(described(item));
    else if (item) elsewhere.push(item.url);
  }
  return { agents, elsewhere: [...new Set(elsewhere)], ...(etag !== undefined && { etag }) };
}

const isDescribed = (item: object): item is z.output<typeof Described> => Described.safeParse(item).success;

/** The members of a description; an orchestrator says more of an agent, which is its own affair. */
function described(item: z.output<typeof Described>): Discovered {
  const { agent_id, name, description, version, capabilities, endpoint, protocol } = item;
  return {
    description: { agent_id, name, description, version, capabilities } as Discovered['description'],
    endpoint,
    protocol,
    document: { media_type: 'application/json', bytes: Buffer.from(JSON.stringify(item)) },
  };
}
