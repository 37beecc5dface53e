import { z } from 'zod';
import { STRATEGIES } from '../routing/decision.js';
import { OrchestrateBody } from './orchestrate.schema.js';
import { asksSomething, ContractError, Message, NAMELESS, WISHES } from './task.schema.js';
import { Json, SessionId, Ulid } from './words.schema.js';

const { capability, agent_id, preferred_protocol, parameters } = OrchestrateBody.shape;

export const RouteBody = z
  .strictObject({
    session_id: SessionId.optional().describe('Whose latest calls a language model is shown; nothing is recorded in it'),
    capability,
    agent_id,
    message: Message.optional().describe('What is wanted, in words'),
    preferred_protocol,
    parameters,
    strategy: z.enum(STRATEGIES).optional().describe('ROUTING_STRATEGY unless given; with `simple` no language model is asked'),
  })
  .refine(asksSomething, { error: NAMELESS, path: ['capability'] })
  .meta({
    id: 'RouteBody',
    anyOf: WISHES.map((wish) => ({ title: `by ${wish}`, required: [wish] })),
    examples: [{ message: 'put "hello" into capital letters' }],
  });

const Routing = Json.meta({ description: 'The evidence, as a REQUEST records it: docs/routing.md' });
const Lines = z.string().describe('The same for people, in lines');

export const RouteAnswer = z
  .object({
    agent_id: z.string().nullable().describe('Who would get it; null: nobody'),
    capability: z.string().nullable(),
    parameters: Json.meta({ description: 'What the agent would get' }),
    ranked: z.array(z.object({ agent_id: z.string(), capability: z.string() })).describe('Who may get it, best first'),
    error: z.string().nullable().describe('Why nobody would get it'),
    error_code: ContractError,
    routing: Routing,
    explanation: Lines,
    decision_ms: z.number().min(0),
  })
  .meta({ id: 'RouteAnswer' });

export const Explanation = z
  .object({
    contract_id: Ulid.describe('Of the REQUEST'),
    session_id: z.string().nullable(),
    task_id: Ulid.nullable(),
    asked: Json.meta({ description: 'What the caller asked for; null: erased' }),
    agent_id: z.string().nullable(),
    capability: z.string().nullable(),
    status: z.string().nullable(),
    error_code: ContractError,
    routing: Routing,
    explanation: Lines,
  })
  .meta({ id: 'Explanation' });
