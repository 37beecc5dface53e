/** Lists of agents: a JSON array, or `{agents: […]}`, of addresses, of objects with a `url`, or of another orchestrator's descriptions. */
import { z } from 'zod';
import { AgentId } from '../../agents/agent.js';
import type { Stop } from '../../agents/agent-client.js';
import type { Discovered } from '../../agents/agent-protocol.js';
import type { Listing } from '../../agents/agent-protocols.js';
import { Endpoint } from '../../agents/registration.js';
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
const Entry = z.union([
  Endpoint.transform((url) => ({ url })),
  Described.transform((said) => ({ agent: described(said) })),
  z.object({ url: Endpoint }),
]);
const List = z.union([z.array(z.unknown()), z.object({ agents: z.array(z.unknown()) }).transform(({ agents }) => agents)]);

const NOBODY = 'it needs a plain http or https address, or a description with agent_id, name, protocol, endpoint and capabilities';

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
  const elsewhere = new Set<string>();
  const skipped: string[] = [];
  for (const [i, one] of list.data.slice(0, MOST).entries()) {
    const entry = Entry.safeParse(one).data;
    if (!entry) skipped.push(`entry ${i + 1} of the list names no agent: ${NOBODY}`);
    else if ('agent' in entry) agents.push(entry.agent);
    else elsewhere.add(entry.url);
  }
  if (list.data.length > MOST) skipped.push(`no more than the first ${MOST} entries of the list are read`);
  return { agents, elsewhere: [...elsewhere], skipped, ...(etag !== undefined && { etag }) };
}

/** The members of a description; an orchestrator says more of an agent, which is its own affair. */
function described(said: z.output<typeof Described>): Discovered {
  const { agent_id, name, description, version, capabilities, endpoint, protocol } = said;
  return {
    description: { agent_id, name, description, version, capabilities } as Discovered['description'],
    endpoint,
    protocol,
    document: { media_type: 'application/json', bytes: Buffer.from(JSON.stringify(said)) },
  };
}
