/** MCP servers at an address: each is one agent, its tools are its capabilities. Those over standard streams are never found, only configured. */
import { hash } from 'node:crypto';
import type { Client } from '@modelcontextprotocol/client';
import type { KnownDescription } from '../../../agents/agent.js';
import type { AgentClient, Stop } from '../../../agents/agent-client.js';
import type { AgentProtocol, Discovery } from '../../../agents/agent-protocol.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import type { Outgoing } from '../outgoing.client.js';
import { Connection } from './connection.client.js';
import { failureOf, noServer } from './failure.client.js';
import { HttpWire } from './http-wire.client.js';
import { McpClient } from './mcp.client.js';
import { describe, idFor, MAX_TOOLS, type ServerDocument, ToolsPage } from './tools.js';

const CONNECT_MS = 10_000;
const MAX_PAGES = 100;
/** Of all tools together; the schemas in it are compiled, which takes time by the square of their size. */
const MAX_DOCUMENT_BYTES = 1024 * 1024;

export class McpProtocol implements AgentProtocol {
  readonly name = 'mcp';

  constructor(private readonly outgoing: Outgoing) {}

  /** At exactly this address, or at /mcp under it. */
  async discover(url: string, { stop, etag }: { stop: Stop; etag?: string }): Promise<Discovery | 'unchanged' | null> {
    await this.outgoing.check(url);
    for (const endpoint of [url, `${url.replace(/\/$/, '')}/mcp`]) {
      const document = await this.read(endpoint, stop);
      if (!document) continue;
      const bytes = Buffer.from(JSON.stringify(document));
      const tag = hash('sha256', bytes, 'hex'); // MCP has no etags
      if (tag === etag) return 'unchanged';
      const description = describe(document, idFor(document.server.name, endpoint));
      return { agents: [{ description, endpoint, document: { media_type: 'application/json', bytes } }], etag: tag };
    }
    return null;
  }

  connect({ endpoint, description }: { endpoint: string; description: KnownDescription }): AgentClient {
    return new McpClient(connectionTo(endpoint, this.outgoing), description);
  }

  /** null: no MCP server there. */
  private async read(endpoint: string, stop: Stop): Promise<ServerDocument | null> {
    const connection = connectionTo(endpoint, this.outgoing);
    try {
      return await readDocument(connection, stop);
    } catch (error) {
      if (noServer(error)) return null;
      throw error;
    } finally {
      void connection.close();
    }
  }
}

/** `close`: what was made for this connection alone. */
export function connectionTo(endpoint: string, outgoing: Outgoing, close: () => Promise<void> = async () => undefined): Connection {
  const url = new URL(endpoint);
  return new Connection({
    wire: () => new HttpWire(url, (maxBytes, hear) => outgoing.fetch(maxBytes, hear)),
    connectMs: CONNECT_MS,
    close,
  });
}

/** Throws what broke the connection as it is, and `agent_not_understood` where an MCP server is connected and tells no tools we could use. */
export async function readDocument(connection: Connection, stop: Stop): Promise<ServerDocument> {
  const stopped = new Promise<never>((_, reject) => stop.onStop((why) => reject(new OrchestratorError('agent_unreachable', why.message))));
  let connected = false;
  const reading = connection.use((client) => {
    connected = true;
    return allTools(client, stop);
  });
  try {
    return await Promise.race([reading, stopped]);
  } catch (error) {
    if (!connected || (error instanceof OrchestratorError && error.code === 'agent_not_understood')) throw error;
    throw notUnderstood(`tools/list: ${failureOf(error).message}`);
  }
}

async function allTools(client: Client, stop: Stop): Promise<ServerDocument> {
  const tools: ServerDocument['tools'][number][] = [];
  let cursor: string | undefined;
  for (let page = 0; page === 0 || cursor !== undefined; page++) {
    if (page === MAX_PAGES) throw notUnderstood(`the server lists its tools on more than ${MAX_PAGES} pages`);
    const listed = await client.request({ method: 'tools/list', params: cursor === undefined ? {} : { cursor } }, ToolsPage, {
      signal: stop.signal,
      timeout: CONNECT_MS,
    });
    tools.push(...listed.tools);
    if (tools.length > MAX_TOOLS) throw notUnderstood(`the server has more than ${MAX_TOOLS} tools`);
    cursor = listed.nextCursor;
  }
  const document = {
    server: client.getServerVersion() ?? {},
    protocolVersion: client.getNegotiatedProtocolVersion() ?? null,
    instructions: client.getInstructions() ?? null,
    tools,
  };
  const bytes = Buffer.byteLength(JSON.stringify(document));
  if (bytes > MAX_DOCUMENT_BYTES) throw notUnderstood(`the server's tools are ${bytes} bytes, at most ${MAX_DOCUMENT_BYTES} are read`);
  return document;
}

const notUnderstood = (why: string) => new OrchestratorError('agent_not_understood', why);
