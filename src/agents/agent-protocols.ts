import type { Stop } from './agent-client.js';
import type { AgentProtocol, Discovery } from './agent-protocol.js';

/** The protocols this process speaks, in the order in which a strange address is tried with them. */
export abstract class AgentProtocols {
  abstract readonly all: readonly AgentProtocol[];
  /** Throws `address_refused` unless an agent may be there, and `agent_unreachable` if its name leads nowhere. */
  abstract check(url: string): Promise<void>;
  /**
   * Reads an address that lists agents, one level deep: addresses of agents, or another orchestrator's whole descriptions. null: it is no
   * list. Throws and settles as AgentProtocol.discover does.
   */
  abstract list(url: string, asked: { readonly stop: Stop; readonly etag?: string }): Promise<Listing | 'unchanged' | null>;
}

export interface Listing extends Discovery {
  /** Addresses to look at by themselves. */
  readonly elsewhere: readonly string[];
}
