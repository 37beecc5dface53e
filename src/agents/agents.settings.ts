import { z } from 'zod';

export const AgentsSettings = z.object({
  /** Agents and endpoints known at start. */
  AGENTS_FILE: z.string().min(1).default('./data/agents.json'),
});

export type AgentsSettings = z.output<typeof AgentsSettings>;
