import type { KnownDescription } from './agent.js';
import type { AgentClient } from './agent-client.js';
import type { AgentLimits } from './registration.js';

export interface ConfiguredAgent {
  readonly description: KnownDescription & AgentLimits;
  readonly protocol: string;
  readonly endpoint: string | null;
  readonly client: AgentClient;
}

/** Addresses agents are discovered at: of agents themselves, and of lists of agents. Both are looked at alike. */
export interface Sources {
  readonly endpoints: readonly string[];
  readonly registries: readonly string[];
}

/** Where the agents known at start come from. Throws `bad_configuration` naming the file and what is wrong in it. */
export abstract class AgentSource {
  abstract load(): Promise<ConfiguredAgent[]>;
  abstract sources(): Promise<Sources>;
}
