/**
 * An agent inside this process. Extend `Agent`, say what it can do, and name the module in data/agents.json:
 *
 *     import { Agent } from 'agent-orchestrator';
 *
 *     export default class Greeter extends Agent {
 *       description = {
 *         agent_id: 'greeter', name: 'Greeter', description: 'Says hello', version: '1.0.0',
 *         capabilities: [{ name: 'greet', description: 'Greets somebody by name', input_schema: { type: 'object' } }],
 *       };
 *       async execute(task, { signal, progress }) {
 *         progress({ status: 'thinking' });
 *         return { success: true, data: { message: `Hello, ${task.parameters.name}!` } };
 *       }
 *     }
 */
import { z } from 'zod';
import type { JsonValue } from '../kernel/json.js';
import type { Progress } from './agent-client.js';
import { judge } from './json-schema.js';

export interface Task {
  /** The REQUEST's id. The same id never stands for two calls, so it serves as idempotency key for whatever the agent does. */
  readonly task_id: string;
  readonly capability: string;
  readonly parameters: Record<string, JsonValue>;
  readonly context: Record<string, JsonValue>;
}

/** `success: false` is an honest answer and is recorded as such; throwing means the agent broke. Both end the contract `failed`. */
export type AgentAnswer = { success: true; data?: unknown } | { success: false; error: string; data?: unknown };

export abstract class Agent {
  abstract readonly description: AgentDescription;

  /**
   * Does one task. `signal` aborts at the deadline, on cancellation and when the process stops: what is returned afterwards is not recorded any
   * more. Called concurrently. The answer must be JSON: no cycles, no BigInt, integers up to 2^53, 64 levels, 4 MiB. It shares the one thread
   * of the process: nothing can interrupt a loop that never awaits. What computes for long belongs into a worker thread or a process of its own.
   *
   * `progress({ status: 'thinking' })` and `progress({ delta: 'Hel' })` reach whoever follows the task, at once and without promise: a reader
   * that is too slow misses some, and nothing of it is recorded. The answer must be whole without them.
   */
  abstract execute(task: Task, options: { signal: AbortSignal; progress: (progress: Progress) => void }): Promise<AgentAnswer>;
}

/** Chosen by the operator, permanent, part of envelopes that can never be erased. */
export const AgentId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1-64 of a-z 0-9 . _ - and start with a letter or digit')
  .refine((id) => !['orchestrator', 'health', 'register', 'refresh'].includes(id), 'is a reserved word');

const JsonSchema = z.record(z.string(), z.json());

export const Capability = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/, 'must be 1-128 of A-Z a-z 0-9 . _ : / - and start with a letter or digit'),
  description: z.string().max(4000).default(''),
  input_schema: JsonSchema.optional(),
  output_schema: JsonSchema.optional(),
  /** What it takes, in words for people, where there is no input_schema; nothing is held to it. */
  parameters: z.record(z.string(), z.json()).optional(),
  tags: z.array(z.string().max(100)).max(50).optional(),
  examples: z.array(z.json()).max(50).optional(),
  /** To do it twice is the same as to do it once: it may be tried again when nobody knows whether it was done. */
  idempotent: z.boolean().optional(),
  /** Doing it again for comparison harms nobody: nothing is sent, booked or paid. */
  replay_safe: z.boolean().optional(),
});

/** What an agent says of itself; the payload of agent.registered and agent.updated. */
export const AgentDescription = z.object({
  agent_id: AgentId,
  name: z.string().min(1).max(200),
  description: z.string().max(4000).default(''),
  version: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}$/, 'must be 1-64 of A-Z a-z 0-9 . + _ -')
    .default('1.0.0'),
  capabilities: z.array(Capability).min(1).max(500).superRefine(named).superRefine(compilable),
});

/** Two capabilities of one name would leave open which schemas hold. */
function named(capabilities: readonly { name: string }[], context: z.RefinementCtx): void {
  const names = capabilities.map((capability) => capability.name);
  names.forEach((name, i) => {
    if (names.indexOf(name) < i) context.addIssue({ code: 'custom', path: [i, 'name'], message: `"${name}" stands there twice` });
  });
}

/** A schema no value can be held to is refused with its agent, not when it is first needed. */
function compilable(capabilities: readonly z.output<typeof Capability>[], context: z.RefinementCtx): void {
  const mustCompile = judge();
  for (const [i, capability] of capabilities.entries())
    for (const which of ['input_schema', 'output_schema'] as const) {
      try {
        if (capability[which]) mustCompile(capability[which]);
      } catch (error) {
        const message = `of capability "${capability.name}" cannot be used: ${(error as Error).message}`;
        context.addIssue({ code: 'custom', path: [i, which], message });
      }
    }
}

export type Capability = z.input<typeof Capability>;
export type AgentDescription = z.input<typeof AgentDescription>;
export type KnownDescription = z.output<typeof AgentDescription>;
