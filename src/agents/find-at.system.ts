/** The agents behind an address, ready to be registered; a list is followed one level deep. */
import { OrchestratorError } from '../kernel/errors.js';
import type { Discovered } from './agent-protocol.js';
import type { AgentProtocols, Listing } from './agent-protocols.js';
import { LIST, lookAt, MOST_AGENTS } from './look-at.system.js';
import { Registration } from './registration.js';

const AT_ONCE = 16;

export interface Found {
  readonly protocol: string;
  readonly etag: string | null;
  readonly agents: readonly FoundAgent[];
  /** Of single agents, or of addresses a list named: none of them keeps the others out. */
  readonly errors: readonly string[];
}

export interface FoundAgent {
  readonly description: Registration;
  readonly document: Discovered['document'];
  readonly signature?: 'unsigned' | 'valid';
}

export interface Address {
  readonly url: string;
  readonly protocol?: string | null;
  readonly etag?: string | null;
  /** By the address of an agent that may be listed there: what it spoke the last time. */
  readonly spoken?: ReadonlyMap<string, string>;
}

/** Throws what is wrong with the address itself. */
export async function findAt(protocols: AgentProtocols, { url, protocol, etag, spoken: before }: Address): Promise<Found | 'unchanged'> {
  const { protocol: spoken, found } = await lookAt(protocols, url, { protocol: protocol ?? undefined, etag: etag ?? undefined });
  if (found === 'unchanged') return 'unchanged';
  const agents: FoundAgent[] = [];
  const errors: string[] = [];
  const take = (speaks: string, discovered: readonly Discovered[]) => {
    for (const each of discovered) {
      const read = readable(speaks, each);
      if (typeof read === 'string') errors.push(read);
      else agents.push(read);
    }
  };
  take(spoken, found.agents.slice(0, MOST_AGENTS));
  const elsewhere = (spoken === LIST ? (found as Listing).elsewhere : []).slice(0, MOST_AGENTS);
  for (let i = 0; i < elsewhere.length; i += AT_ONCE) {
    await Promise.all(
      elsewhere.slice(i, i + AT_ONCE).map(async (address) => {
        try {
          const there = await lookAt(protocols, address, { protocol: before?.get(address) });
          if (there.found !== 'unchanged' && there.protocol !== LIST) take(there.protocol, there.found.agents);
        } catch (error) {
          if (!(error instanceof OrchestratorError)) throw error;
          errors.push(error.message);
        }
      }),
    );
  }
  // What a list names may change while the list does not: it is always read whole.
  return { protocol: spoken, etag: elsewhere.length > 0 ? null : (found.etag ?? null), agents, errors };
}

/** Held to our own rules, whoever has read it. */
function readable(speaks: string, { description, endpoint, protocol, document, signature }: Discovered): FoundAgent | string {
  const parsed = Registration.safeParse({ ...description, protocol: protocol ?? speaks, endpoint });
  if (parsed.success) return { description: parsed.data, document, ...(signature && { signature }) };
  const issues = parsed.error.issues.map((issue) => [issue.path.join('.'), issue.message].filter(Boolean).join(': '));
  return `the agent at ${endpoint} cannot be registered: ${issues.slice(0, 5).join('; ')}`;
}
