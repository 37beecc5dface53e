import { z } from 'zod';
import { numberBetween } from '../kernel/setting.js';

const NETWORK = /^(loopback|private|(\d{1,3}\.){3}\d{1,3}\/([0-9]|[12]\d|3[0-2])|[0-9a-f:]+:[0-9a-f:]*\/(\d{1,2}|1[01]\d|12[0-8]))$/;
const NETWORKS = 'must be `public` or a list of loopback, private and ranges such as 10.1.0.0/16, separated by commas';

export const AgentsSettings = z.object({
  /** Agents and endpoints known at start. */
  AGENTS_FILE: z.string().min(1).default('./data/agents.json'),
  /** Tokens for agents that want to know who calls. Unset: none are sent. */
  AGENT_CREDENTIALS_FILE: z.string().min(1).optional(),
  /** Networks beside the public ones where agents may be whose address came from outside. */
  AGENT_NETWORKS: z
    .string()
    .default('loopback')
    .transform((text) => (text.trim() === 'public' ? [] : text.split(',').map((network) => network.trim())))
    .refine((networks) => networks.every((network) => NETWORK.test(network) && inRange(network)), NETWORKS),
  /** How often each agent is asked how it is; 0: never. */
  PROBE_INTERVAL_SECONDS: numberBetween(0, 86_400).default(15),
  /** How often the addresses agents were discovered at are looked at again; 0: never. */
  DISCOVERY_INTERVAL_SECONDS: numberBetween(0, 86_400).default(30),
});

const inRange = (network: string) =>
  !/^[\d.]+\//.test(network) ||
  network
    .split('/')[0]!
    .split('.')
    .every((byte) => Number(byte) <= 255);

export type AgentsSettings = z.output<typeof AgentsSettings>;
