/** What a protocol brings: recognising agents behind an address, and calling them. One adapter per protocol in integration/agents. */
import type { AgentDescription, KnownDescription } from './agent.js';
import type { AgentClient, Stop } from './agent-client.js';

export interface Discovered {
  readonly description: AgentDescription;
  /** The address to call, from where the document was fetched: what a document says about localhost is not believed. */
  readonly endpoint: string;
  /** The document as it came, kept byte for byte. */
  readonly document: { readonly media_type: string; readonly bytes: Buffer };
  /** The protocol the agent speaks, where it is not the one that was asked. */
  readonly protocol?: string;
  /** Whether the document is signed by whom it says; `invalid` is refused by the protocol itself. */
  readonly signature?: 'unsigned' | 'valid';
}

export interface Discovery {
  readonly agents: readonly Discovered[];
  /** Who lives there too but cannot be used, each with the reason: one bad agent must not hide the others. */
  readonly skipped?: readonly string[];
  /** To ask with the next time. */
  readonly etag?: string;
}

/** Names by which callers may prefer one; `acp` stands for all of its kinds. */
export const PROTOCOLS = ['in-process', 'http', 'a2a', 'mcp', 'acp', 'acp-beeai', 'acp-agntcy', 'acp-invoke'] as const;

export interface AgentProtocol {
  readonly name: string;
  /**
   * Who lives behind this address? null: nobody who speaks this protocol; 'unchanged': the document still has this etag. Throws
   * `agent_unreachable`, `address_refused` or `agent_not_understood` (it speaks the protocol, but not so that it could be used), each with the
   * reason. Settles soon after `stop`; reads a bounded number of bytes and agents.
   */
  discover(url: string, asked: { readonly stop: Stop; readonly etag?: string }): Promise<Discovery | 'unchanged' | null>;
  /** Calls nobody yet. */
  connect(agent: { readonly endpoint: string; readonly description: KnownDescription }): AgentClient;
}
