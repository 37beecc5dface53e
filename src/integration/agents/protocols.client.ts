/** The table of protocols. The order is the one in which a strange address is tried with them. */
import type { Stop } from '../../agents/agent-client.js';
import type { AgentProtocol } from '../../agents/agent-protocol.js';
import { AgentProtocols } from '../../agents/agent-protocols.js';
import { listAgents } from './agent-list.client.js';
import { HttpProtocol } from './http-protocol.client.js';
import type { Outgoing } from './outgoing.client.js';

export class Protocols extends AgentProtocols {
  readonly all: readonly AgentProtocol[];

  constructor(private readonly outgoing: Outgoing) {
    super();
    this.all = [new HttpProtocol(outgoing)];
  }

  check(url: string): Promise<void> {
    return this.outgoing.check(url);
  }

  list(url: string, asked: { readonly stop: Stop; readonly etag?: string }) {
    return listAgents(this.outgoing, url, asked);
  }
}
