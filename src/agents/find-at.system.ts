/** The agents behind an address, ready to be registered; a list is followed one level deep. */
import type { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import { Stop } from './agent-client.js';
import type { Discovered, Discovery } from './agent-protocol.js';
import type { AgentProtocols, Listing } from './agent-protocols.js';
import { LIST, lookAt, MOST_AGENTS } from './look-at.system.js';
import { Registration } from './registration.js';

const AT_ONCE = 16;
/** Of all documents behind one address: they are held together until their agents are registered, several times as large once they are read. */
const MOST_BYTES = 32 * 1024 * 1024;

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
  /** Absent: it is looked at to the end. */
  readonly stop?: Stop;
}

/** Throws what is wrong with the address itself, and the reason of `stop`. */
export async function findAt(protocols: AgentProtocols, address: Address): Promise<Found | 'unchanged'> {
  const { url, stop = new Stop(), spoken } = address;
  const before = { protocol: address.protocol ?? undefined, etag: address.etag ?? undefined };
  const { protocol, found } = await lookAt(protocols, url, before, stop);
  if (found === 'unchanged') return 'unchanged';
  const taking = new Taking(
    url,
    protocols.all.map(({ name }) => name),
  );
  taking.take(protocol, found);
  const elsewhere = protocol === LIST ? (found as Listing).elsewhere.slice(0, MOST_AGENTS) : [];
  const places = elsewhere.values();
  const reader = async () => {
    for (const place of places) {
      if (taking.full) return;
      try {
        const there = await lookAt(protocols, place, { protocol: spoken?.get(place) }, stop);
        if (there.found !== 'unchanged' && there.protocol !== LIST) taking.take(there.protocol, there.found);
      } catch (error) {
        if (stop.why) throw stop.why;
        taking.errors.push(error instanceof OrchestratorError ? error.message : `${place}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  // What a list names may change while the list does not: it is always read whole.
  const etag = elsewhere.length > 0 ? null : (found.etag ?? null);
  return { protocol, etag, agents: taking.agents, errors: taking.errors };
}

/** What was found so far, held to our own rules, whoever has read it. */
class Taking {
  readonly agents: FoundAgent[] = [];
  readonly errors: string[] = [];
  private bytes = 0;

  constructor(
    private readonly url: string,
    private readonly spoken: readonly string[],
  ) {}

  get full(): boolean {
    return this.bytes > MOST_BYTES;
  }

  take(speaks: string, { agents, skipped = [] }: Discovery): void {
    for (const reason of skipped) this.errors.push(reason);
    for (const each of agents.slice(0, MOST_AGENTS)) {
      if (this.full) return;
      this.bytes += each.document.bytes.length;
      if (this.full) this.errors.push(`the documents behind ${this.url} have more than ${MOST_BYTES} bytes together; the rest is left out`);
      else this.read(each.protocol ?? speaks, each);
    }
  }

  private read(protocol: string, { description, endpoint, document, signature }: Discovered): void {
    const parsed = this.spoken.includes(protocol)
      ? Registration.safeParse({ ...description, protocol, endpoint })
      : `its protocol is not spoken here, but ${this.spoken.join(', ')}`;
    if (typeof parsed !== 'string' && parsed.success) {
      this.agents.push({ description: parsed.data, document, ...(signature && { signature }) });
      return;
    }
    const why = typeof parsed === 'string' ? parsed : issuesOf(parsed.error);
    this.errors.push(`the agent at ${endpoint} cannot be registered: ${why}`);
  }
}

const issuesOf = ({ issues }: z.ZodError) =>
  issues
    .slice(0, 5)
    .map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
    .join('; ');
