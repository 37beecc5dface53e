/** Finds out who lives behind an address: each protocol in turn, each within its time, and at last whether it is a list of agents. */
import { OrchestratorError } from '../kernel/errors.js';
import { Stop } from './agent-client.js';
import type { Discovery } from './agent-protocol.js';
import type { AgentProtocols, Listing } from './agent-protocols.js';

const LOOK_MS = 5000;
/** Of one address, addresses it names included. */
export const MOST_AGENTS = 1000;

/** What was understood, by which protocol; `list` for a list. */
export interface Seen {
  readonly protocol: string;
  readonly found: Discovery | Listing | 'unchanged';
}

/** What is remembered of the last look. */
export interface Before {
  readonly protocol?: string | undefined;
  readonly etag?: string | undefined;
}

export const LIST = 'list';

/** Throws `agent_not_understood` saying what to do, whatever the protocols say about the address, and the reason of `enough`. */
export async function lookAt(protocols: AgentProtocols, url: string, before: Before, enough: Stop): Promise<Seen> {
  const all = [
    ...protocols.all.map(({ name, discover }, i) => ({ name, discover: discover.bind(protocols.all[i]!) })),
    { name: LIST, discover: protocols.list.bind(protocols) },
  ];
  // Who understood it last is asked first; an etag means something to nobody else.
  const first = all.filter(({ name }) => name === before.protocol);
  let halfUnderstood: OrchestratorError | null = null;
  for (const { name, discover } of [...first, ...all.filter((each) => !first.includes(each))]) {
    const etag = name === before.protocol ? before.etag : undefined;
    try {
      const found = await within(url, enough, (stop) => discover(url, { stop, ...(etag !== undefined && { etag }) }));
      if (found !== null) return { protocol: name, found };
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error.code !== 'agent_not_understood') throw error;
      halfUnderstood ??= error;
    }
  }
  const spoken = protocols.all.map(({ name }) => name).join(', ');
  throw (
    halfUnderstood ??
    new OrchestratorError(
      'agent_not_understood',
      `nobody at ${url} describes itself in a way that is known here (${spoken}, or a list of agents); register it with a full description`,
    )
  );
}

async function within<T>(url: string, enough: Stop, work: (stop: Stop) => Promise<T>): Promise<T> {
  if (enough.why) throw enough.why;
  const stop = new Stop();
  enough.onStop((why) => stop.stop(why));
  const late = new OrchestratorError('agent_unreachable', `${url} did not answer within ${LOOK_MS / 1000} s`);
  const timer = setTimeout(() => stop.stop(late), LOOK_MS);
  try {
    return await Promise.race([work(stop), new Promise<never>((_, reject) => stop.onStop(reject))]);
  } finally {
    clearTimeout(timer);
  }
}
