/** The table of protocols. The order is the one in which a strange address is tried with them. */
import type { Stop } from '../../agents/agent-client.js';
import type { AgentProtocol } from '../../agents/agent-protocol.js';
import { AgentProtocols } from '../../agents/agent-protocols.js';
import { A2aProtocol } from './a2a/a2a-protocol.client.js';
import { AgntcyProtocol } from './acp/agntcy.client.js';
import { BeeAiProtocol } from './acp/beeai.client.js';
import { InvokeProtocol } from './acp/invoke.client.js';
import { listAgents } from './agent-list.client.js';
import { HttpProtocol } from './http-protocol.client.js';
import { McpProtocol } from './mcp/mcp-protocol.client.js';
import type { Outgoing } from './outgoing.client.js';

export class Protocols extends AgentProtocols {
  readonly all: readonly AgentProtocol[];

  constructor(private readonly outgoing: Outgoing) {
    super();
    // MCP last: it is recognised by asking, and whoever does not speak it is asked something he does not know.
    this.all = [
      new A2aProtocol(outgoing),
      new HttpProtocol(outgoing),
      new InvokeProtocol(outgoing),
      new BeeAiProtocol(outgoing),
      new AgntcyProtocol(outgoing),
      new McpProtocol(outgoing),
    ];
  }

  check(url: string): Promise<void> {
    return this.outgoing.check(url);
  }

  list(url: string, asked: { readonly stop: Stop; readonly etag?: string }) {
    return listAgents(this.outgoing, url, asked);
  }
}
