/** An MCP server named in data/agents.json: over HTTP by its endpoint, over standard streams by the command that starts it. */
import { z } from 'zod';
import { AgentDescription } from '../../../agents/agent.js';
import { Stop } from '../../../agents/agent-client.js';
import type { ConfiguredAgent } from '../../../agents/agent-source.js';
import { AgentLimits, Endpoint } from '../../../agents/registration.js';
import type { Credentials } from '../../tokens/credentials.client.js';
import { Outgoing } from '../outgoing.client.js';
import { Connection } from './connection.client.js';
import { failureOf } from './failure.client.js';
import { McpClient } from './mcp.client.js';
import { connectionTo, readDocument } from './mcp-protocol.client.js';
import { type Command, StdioWire } from './stdio-wire.system.js';
import { describe } from './tools.js';

/** What is started may have to be fetched first. */
const PROCESS_CONNECT_MS = 30_000;
/** The start of the orchestrator waits this long for one that must be asked what it can do. */
const START_MS = 30_000;
/** The operator named the address himself. */
const NETWORKS = ['loopback', 'private'];

const { agent_id, name, description, version, capabilities } = AgentDescription.shape;

/** What it does not say of the agent, the server does. */
export const ConfiguredMcp = z
  .strictObject({
    protocol: z.literal('mcp'),
    agent_id,
    name: name.optional(),
    description: description.unwrap().optional(),
    version: version.unwrap().optional(),
    capabilities: capabilities.optional(),
    endpoint: Endpoint.optional(),
    command: z.string().min(1).optional(),
    args: z.array(z.string()).max(100).default([]),
    env: z.record(z.string(), z.string()).default({}),
    ...AgentLimits.shape,
  })
  .refine(({ endpoint, command }) => (endpoint === undefined) !== (command === undefined), 'needs either an endpoint or a command');

type Given = Omit<z.output<typeof ConfiguredMcp>, 'protocol' | 'endpoint' | 'command' | 'args' | 'env'>;
type Log = (message: string) => void;

/**
 * null: it is not described in the file and could not be asked at start, as the log says. The others are served without it; a description in
 * the file makes an agent known whether it runs or not.
 */
export async function mcpAgent(
  entry: z.output<typeof ConfiguredMcp>,
  { directory, credentials, log }: { directory: string; credentials: Credentials; log: Log },
): Promise<ConfiguredAgent | null> {
  const { protocol, endpoint = null, command, args, env, ...given } = entry;
  const note = (line: string) => log(`agent ${given.agent_id}: ${line}`);
  const connection = command === undefined ? overHttp(endpoint!, credentials) : overStreams({ command, args, env, directory, log: note });
  try {
    const known = await knownOf(given, connection);
    return { description: known, protocol, endpoint, client: new McpClient(connection, known) };
  } catch (error) {
    note(`left out, since its tools could not be read: ${failureOf(error).message}; start it, or write its capabilities into the file`);
    await connection.close();
    return null;
  }
}

async function knownOf(given: Given, connection: Connection): Promise<ConfiguredAgent['description']> {
  if (given.capabilities) return AgentDescription.extend(AgentLimits.shape).parse({ name: given.agent_id, ...given });
  const stop = new Stop();
  const timer = setTimeout(() => stop.stop(new Error(`no answer within ${START_MS / 1000} s`)), START_MS);
  try {
    return { ...describe(await readDocument(connection, stop), given.agent_id), ...given } as ConfiguredAgent['description'];
  } finally {
    clearTimeout(timer);
  }
}

function overHttp(endpoint: string, credentials: Credentials): Connection {
  const outgoing = new Outgoing(NETWORKS, undefined, credentials);
  return connectionTo(endpoint, outgoing, () => outgoing.close());
}

function overStreams(command: Command): Connection {
  return new Connection({ wire: () => new StdioWire(command), connectMs: PROCESS_CONNECT_MS, process: true });
}
