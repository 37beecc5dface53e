/** Stands for an agent on the record whose protocol this version does not speak: another replica, or an earlier version, registered it. */
import { AgentClient, type Answer, type Health } from './agent-client.js';

export class UnspokenClient extends AgentClient {
  constructor(private readonly protocol: string) {
    super();
  }

  async call(): Promise<Answer> {
    const message = `this process does not speak the protocol "${this.protocol}"`;
    return { success: false, code: 'agent_unreachable', message, fault: { untouched: true } };
  }

  async health(): Promise<Health> {
    return { status: 'unknown', error: `this process does not speak the protocol "${this.protocol}"` };
  }

  async close(): Promise<void> {}
}
