/**
 * What an MCP server says of itself, and what of it becomes a description. MCP has no document: it is put together from the answers to
 * server/discover or initialize and to tools/list, each object as it came.
 */
import { z } from 'zod';
import { AgentDescription, AgentId, Capability, type KnownDescription } from '../../../agents/agent.js';
import { type JsonSchema, judge } from '../../../agents/json-schema.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import type { JsonValue } from '../../../kernel/json.js';
import { agentIdFrom } from '../agent-id.js';

export const MAX_TOOLS = 500;
const MAX_TEXT = 4000;
const MOST_TOLD = 5;

const JsonObject = z.record(z.string(), z.custom<JsonValue>());
const Tool = z.looseObject({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: JsonObject.optional(),
  outputSchema: JsonObject.optional(),
});

export const ToolsPage = z.looseObject({ tools: z.array(Tool), nextCursor: z.string().optional() });

export interface ServerDocument {
  readonly server: { readonly name?: string; readonly title?: string; readonly version?: string; readonly description?: string };
  readonly protocolVersion: string | null;
  readonly instructions: string | null;
  readonly tools: readonly z.output<typeof Tool>[];
}

/** Throws `agent_not_understood` if no agent can be made of it. */
export function describe({ server, instructions, tools }: ServerDocument, agentId: string): KnownDescription {
  const twice = tools.find(({ name }, i) => tools.findIndex((tool) => tool.name === name) < i);
  if (twice)
    throw new OrchestratorError(
      'agent_not_understood',
      `the server has two tools called ${shown(twice.name)}; every tool needs a name of its own`,
    );
  const named = tools.filter(({ name }) => Capability.shape.name.safeParse(name).success);
  const odd = tools.filter((tool) => !named.includes(tool)).map(({ name }) => shown(name));
  if (named.length === 0)
    throw new OrchestratorError(
      'agent_not_understood',
      `the server has no tools${odd.length > 0 ? ` whose names can be capabilities, only ${some(odd)}` : ''}`,
    );
  const { version } = server;
  const mustCompile = judge();
  return AgentDescription.parse({
    agent_id: agentId,
    name: (server.title || server.name || agentId).slice(0, 200),
    description: noted(server.description ?? instructions ?? '', odd.length > 0 ? [`left out for their names: ${some(odd)}`] : []),
    ...(AgentDescription.shape.version.safeParse(version).success && { version }),
    capabilities: named.map((tool) => capabilityOf(tool, mustCompile)),
  });
}

/** A schema that no value can be held to is dropped, and the description says so: the tool can still be called. */
function capabilityOf(
  { name, title, description, inputSchema, outputSchema }: z.output<typeof Tool>,
  mustCompile: (schema: JsonSchema) => void,
): Capability {
  const notes: string[] = [];
  const usable = (schema: JsonSchema | undefined, which: string) => {
    try {
      if (schema) mustCompile(schema);
      return schema;
    } catch (error) {
      notes.push(`its ${which} schema is not used: ${(error as Error).message}`);
      return undefined;
    }
  };
  const input_schema = usable(inputSchema, 'input');
  const output_schema = usable(outputSchema, 'output');
  return {
    name,
    description: noted(description || title || '', notes),
    ...(input_schema && { input_schema }),
    ...(output_schema && { output_schema }),
  };
}

/** An id for a server that came without one. */
export function idFor(name: string | undefined, url: string): string {
  const { host, pathname } = new URL(url);
  const ids = [name ?? '', `mcp-${host}${pathname}`].map(agentIdFrom);
  return ids.find((id) => AgentId.safeParse(id).success) ?? 'mcp-server';
}

function noted(text: string, notes: readonly string[]): string {
  const note = notes
    .map((one) => `[${one}]`)
    .join(' ')
    .slice(0, MAX_TEXT);
  return [text.slice(0, Math.max(0, MAX_TEXT - note.length - 1)), note].filter(Boolean).join(' ');
}

const shown = (name: string) => JSON.stringify(name.slice(0, 100));
const some = (names: readonly string[]) =>
  names.slice(0, MOST_TOLD).join(', ') + (names.length > MOST_TOLD ? ` and ${names.length - MOST_TOLD} more` : '');
