/** Real MCP servers in processes of their own (peers/mcp-peer.mjs), and what was asked of them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentDescription, type KnownDescription, type Task } from '../../src/agents/agent.js';
import type { AgentClient } from '../../src/agents/agent-client.js';
import { ConfiguredAgents } from '../../src/integration/agents/configured-agents.system.js';
import { McpProtocol } from '../../src/integration/agents/mcp/mcp-protocol.client.js';
import { Outgoing } from '../../src/integration/agents/outgoing.client.js';
import { agentsFile, scratchDirectory } from './place.js';
import { until } from './until.js';

export const PEER = join(__dirname, 'peers/mcp-peer.mjs');
export const HTTP_KINDS = ['v2-http', 'v2-sessions', 'v1-sessions'] as const;
export const STDIO_KINDS = ['v2-stdio', 'v1-stdio'] as const;
export type Kind = (typeof HTTP_KINDS)[number] | (typeof STDIO_KINDS)[number];

/** One thing that happened at a peer. */
export interface Heard {
  readonly called?: string;
  readonly task?: string;
  readonly cancelled?: string;
  readonly started?: number;
  readonly ended?: string;
  readonly port?: number;
  readonly method?: string;
  readonly mcp?: string;
}

export interface McpPeer {
  readonly kind: Kind;
  readonly client: AgentClient;
  readonly description: KnownDescription;
  /** null: over standard streams. */
  readonly url: string | null;
  /** What the client's side logged of it. */
  readonly logged: string[];
  heard(): Heard[];
  /** The server ends and comes back, and remembers nothing. */
  restart(): Promise<void>;
  /** The same in two steps; over standard streams it comes back by itself. */
  stop?(): Promise<void>;
  start?(): Promise<void>;
  close(): Promise<void>;
}

export const task = (capability: string, parameters: Task['parameters'] = {}, task_id = 'T1'): Task => ({
  task_id,
  capability,
  parameters,
  context: {},
});

const described = (capabilities: string[]) =>
  AgentDescription.parse({ agent_id: 'peer', name: 'Peer', capabilities: capabilities.map((name) => ({ name })) });

export function mcpClient(endpoint: string): { client: AgentClient; close(): Promise<void> } {
  const outgoing = new Outgoing(['loopback']);
  const client = new McpProtocol(outgoing).connect({ endpoint, description: described(['add']) });
  return {
    client,
    async close() {
      await client.close();
      await outgoing.close();
    },
  };
}

export async function startMcp(kind: Kind): Promise<McpPeer> {
  const file = join(await scratchDirectory(), 'heard');
  const heard = (): Heard[] => {
    try {
      const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
      return lines.map((line) => JSON.parse(line) as Heard);
    } catch {
      return []; // nothing yet
    }
  };
  return kind.endsWith('stdio') ? overStreams(kind, file, heard) : overHttp(kind, file, heard);
}

async function overStreams(kind: Kind, file: string, heard: () => Heard[]): Promise<McpPeer> {
  const logged: string[] = [];
  const entry = { protocol: 'mcp', agent_id: 'peer', command: process.execPath, args: [PEER, kind], env: { PEER_LOG: file } };
  const loaded = await new ConfiguredAgents(await agentsFile([entry]), [], { log: (line) => logged.push(line) }).load();
  if (!loaded[0]) throw new Error(logged.join('\n'));
  const { client, description } = loaded[0];
  const starts = () => heard().flatMap(({ started }) => started ?? []);
  const restart = async () => {
    const before = starts();
    process.kill(before.at(-1)!, 'SIGKILL');
    await until('the peer is started again', () => starts().length > before.length);
  };
  return { kind, client, description, url: null, logged, heard, restart, close: () => client.close() };
}

async function overHttp(kind: Kind, file: string, heard: () => Heard[]): Promise<McpPeer> {
  let child: ChildProcess;
  const launch = async (port: number) => {
    const before = heard().length;
    child = spawn(process.execPath, [PEER, kind, String(port)], {
      env: { PATH: process.env['PATH'], PEER_LOG: file },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'], // without us it ends
    });
    await until('the peer listens', () =>
      heard()
        .slice(before)
        .some((what) => what.port),
    );
    return heard().at(-1)!.port!;
  };
  const kill = async () => {
    const gone = new Promise<void>((ended) => (child.exitCode === null ? child.once('exit', () => ended()) : ended()));
    child.kill('SIGKILL');
    await gone;
  };
  const port = await launch(0);
  const url = `http://127.0.0.1:${port}/mcp`;
  const { client, close } = mcpClient(url);
  return {
    kind,
    client,
    description: described(['add']),
    url,
    logged: [],
    heard,
    async restart() {
      await kill();
      await launch(port);
    },
    stop: kill,
    start: async () => void (await launch(port)),
    async close() {
      await close();
      await kill();
    },
  };
}
