/** What every piece of work is asked for with, by itself or as a step of a plan. */
import { z } from 'zod';
import { PROTOCOLS } from '../agents/agent-protocol.js';
import { ERROR_CODES } from '../contracts/contract.js';
import type { JsonValue } from '../kernel/json.js';

/** Passed on as it came; parseJson has looked at every byte of it. */
export const JsonObject = z
  .custom<Record<string, JsonValue>>((v) => typeof v === 'object' && v !== null && !Array.isArray(v), 'must be a JSON object')
  .meta({ type: 'object' });

/** No less than a character that is not white space. */
export const Message = z.string().max(32_000).regex(/\S/, 'must hold more than white space');

/** Who is to do it, or what. */
export const Task = {
  capability: z.string().min(1).max(256).optional().describe('What is to be done; any agent that offers it may do it'),
  agent_id: z.string().min(1).max(64).optional().describe('Who is to do it; `capability` may be left out if the agent has only one'),
  message: Message.optional().describe(
    'What is wanted, in words. Alone it decides who gets it; the agent gets it too, as docs/routing.md says',
  ),
  preferred_protocol: z
    .enum(PROTOCOLS)
    .optional()
    .describe(
      'Of those who can do it, who speaks this goes first; the others are there for when they cannot. `acp` stands for all of its kinds',
    ),
};

/** Of a plan each step has its own. */
export const OF_ONE_CALL = ['capability', 'agent_id', 'message', 'preferred_protocol', 'parameters'] as const;

/** Somebody must be found by one of them. */
export const WISHES = ['capability', 'agent_id', 'message'] as const;
export const NAMELESS = 'name a capability or an agent_id, or say in a message what is wanted';

export const asksSomething = (body: { readonly [K in (typeof WISHES)[number]]?: unknown }): boolean =>
  WISHES.some((wish) => body[wish] !== undefined);

export const ContractError = z
  .string()
  .nullable()
  .meta({ description: `Why it did not complete: ${Object.keys(ERROR_CODES).join(', ')}`, examples: [null] });
