/** An agent that converses, behind the port every protocol stands behind: what it answers is scripted, what it is given is kept. */
import { CommandBus } from '@nestjs/cqrs';
import type { Task } from '../../src/agents/agent.js';
import { AgentClient, type Answer, type CallOptions, type Health } from '../../src/agents/agent-client.js';
import { ConfigureAgent } from '../../src/agents/agents.commands.js';
import type { Server } from '../../src/server.system.js';

export class Talker extends AgentClient {
  override readonly conversational = true;
  readonly given: { task: Task; continuation: unknown }[] = [];
  private readonly script: Answer[] = [];

  /** What it answers next; without a script it says hello and leaves nothing. */
  answers(...answers: Answer[]): void {
    this.script.push(...answers);
  }

  async call(task: Task, options: CallOptions): Promise<Answer> {
    this.given.push({ task, continuation: 'continuation' in options ? options.continuation : 'none' });
    return this.script.shift() ?? { success: true, data: 'hello' };
  }

  async health(): Promise<Health> {
    return { status: 'healthy', error: null };
  }

  async close(): Promise<void> {}
}

/** Offers `talk`, and `count`, whose result must be a number. */
export async function registerTalker(server: Server, client: AgentClient, agent_id = 'talker'): Promise<void> {
  const capabilities = [
    { name: 'talk', description: '' },
    { name: 'count', description: '', output_schema: { type: 'number' } },
  ];
  const description = { agent_id, name: agent_id, description: '', version: '1.0.0', capabilities };
  await server.app.get(CommandBus).execute(new ConfigureAgent({ description, protocol: 'in-process', endpoint: null, client }));
}
