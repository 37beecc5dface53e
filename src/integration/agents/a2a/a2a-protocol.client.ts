/** A2A 1.0 and 0.3: agents are recognised by their card. Bindings: JSON-RPC and HTTP+JSON. */
import type { KnownDescription } from '../../../agents/agent.js';
import type { AgentClient, Stop } from '../../../agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../../agents/agent-protocol.js';
import type { Outgoing } from '../outgoing.client.js';
import { A2aClient } from './a2a.client.js';
import { Cards } from './card.client.js';
import { describe } from './description.js';

export class A2aProtocol implements AgentProtocol {
  readonly name = 'a2a';
  private readonly cards: Cards;

  constructor(private readonly outgoing: Outgoing) {
    this.cards = new Cards(outgoing);
  }

  async discover(url: string, { stop, etag }: { readonly stop: Stop; readonly etag?: string }): Promise<Discovery | 'unchanged' | null> {
    const found = await this.cards.find(url, stop.signal, etag);
    if (found === null || found === 'unchanged') return found;
    const { card, bytes, home, signature } = found;
    const document = { media_type: 'application/json', bytes };
    const agents = [{ description: describe(card), endpoint: home, document, signature }];
    return { agents, ...(found.etag !== undefined && { etag: found.etag }) };
  }

  /** `endpoint` is the address the card is under: where and how the agent is called stands in the card. */
  connect(agent: { readonly endpoint: string; readonly description: KnownDescription }): AgentClient {
    return new A2aClient(agent, this.outgoing);
  }
}
