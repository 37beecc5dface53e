import type { KnownDescription } from './agent.js';
import type { AgentClient } from './agent-client.js';

export interface ConfiguredAgent {
  readonly description: KnownDescription;
  readonly protocol: string;
  readonly endpoint: string | null;
  readonly client: AgentClient;
}

/** Where the agents known at start come from. Throws `bad_configuration` naming the file and what is wrong in it. */
export abstract class AgentSource {
  abstract load(): Promise<ConfiguredAgent[]>;
}
