/**
 * Decisions taken again: recorded requests, and the agents, rules and model answers they are decided with. Nobody is asked anything here. What
 * the dispatcher knew of the agents at that moment (who was next in turn, whose breaker was open, who was full) is taken from the evidence,
 * because it is no choice; everything that chooses is today's.
 */
import { z } from 'zod';
import { AgentClient, type Answer, type Health } from '../agents/agent-client.js';
import { type AgentState, isRegistered, statusOf } from '../agents/agent-state.js';
import { AgentRegistry, type RegisteredAgent } from '../agents/directory.js';
import type { JsonValue } from '../kernel/json.js';
import type { Balancing } from '../routing/balance.js';
import type { Decision, Knowledge, Question, Strategy } from '../routing/decision.js';
import { Lexicon } from '../routing/lexicon.js';
import type { Meanings } from '../routing/meanings.js';
import type { Reply, Shortlist } from '../routing/model-answer.js';
import type { RecentTurns } from '../routing/prompt.js';
import { route } from '../routing/route.js';
import type { Rules } from '../routing/rules.js';

const json = z.custom<JsonValue>();
const requestSchema = z.object({
  contract_id: z.string(),
  stream: z.string(),
  seq: z.number(),
  asked_at: z.string(),
  /** As it was decided then; null: nobody. */
  agent_id: z.string().nullable(),
  capability: z.string().nullable(),
  asked: json,
  parameters: json,
  routing: json,
  /** What a model was to know of the session; null: no model is asked. */
  recent: z.looseObject({ turns: z.array(json), previous: z.string().nullable() }).nullable(),
  gone: z.string().nullable(),
});
export type RecordedRequest = Omit<z.infer<typeof requestSchema>, 'recent'> & { readonly recent: RecentTurns | null };

/** An agent as it was from here on, or a request that was decided with the agents as they are. */
export const decisionInputSchema = z.union([
  z.object({ agent: z.looseObject({ agent_id: z.string(), seq: z.number() }) }),
  z.object({ request: requestSchema }),
]);
export type DecisionInput = { readonly agent: AgentState } | { readonly request: RecordedRequest };

export const requestsReadSchema = z.looseObject({ requests: z.number(), unexplained: z.number() });
export type RequestsRead = z.infer<typeof requestsReadSchema>;

/** What chooses. */
export interface Deciders {
  readonly rules: Rules;
  readonly meanings: Meanings;
  readonly strategy: Strategy;
  readonly threshold: number;
  /** Most candidates a model is shown. */
  readonly shown: number;
  readonly balancing: Balancing;
  readonly misfit: Knowledge['misfit'];
}

export interface Chosen {
  /** null: nobody. */
  readonly agent_id: string | null;
  readonly capability: string | null;
  readonly evidence: JsonValue;
  /** Why nobody. */
  readonly error: string | null;
}

export type Redecided =
  /** A model must say something first. */
  | { readonly ask: Shortlist; readonly question: Question }
  | { readonly skipped: string }
  | { readonly was: Chosen; readonly is: Chosen; readonly same: boolean };

/** What is read of the evidence; earlier versions recorded less. */
const evidenceSchema = z.looseObject({
  registry: z.number().optional(),
  attempt: z.number().optional(),
  balancing: z.enum(['round_robin', 'weighted_round_robin', 'least_connections', 'score']).optional(),
  candidates: z
    .array(
      z.union([
        z.string(),
        z.looseObject({ agent_id: z.string(), score: z.number().optional(), turn: z.number().optional(), refused: z.string().optional() }),
      ]),
    )
    .default([]),
  passed_over: z.array(z.looseObject({ agent_id: z.string() })).default([]),
  message_as: z.string().optional(),
  llm: z.looseObject({ answer: json.optional() }).optional(),
  fell_back: z.array(z.looseObject({ from: z.string() })).default([]),
});
type Recorded = z.infer<typeof evidenceSchema>;

export class Redecisions {
  /** How far the ledger is in the agents; null: in each request's as far as it was then. */
  position: number | null = null;
  private readonly registry = new AgentRegistry();
  private lexicon: Lexicon | null = null;

  constructor(private readonly deciders: Deciders) {}

  learn(state: AgentState): void {
    const agent = registered(state);
    if (agent) this.registry.put(agent);
    else this.registry.remove(state.agent_id);
    this.lexicon = null;
  }

  /** `reply`: what a model says now; without it, what one said then. `asking`: a model can be asked. */
  decide(request: RecordedRequest, { reply, asking }: { reply?: Reply; asking: boolean }): Redecided {
    const { asked, gone } = request;
    if (!isObject(asked)) return { skipped: gone === null ? 'the record does not say what was asked' : `its payload is ${gone}` };
    const read = evidenceSchema.safeParse(request.routing);
    if (!read.success) return { skipped: gone === null ? 'its evidence cannot be read by this version' : `its evidence is ${gone}` };
    const evidence = read.data;
    if ((evidence.attempt ?? 1) > 1) return { skipped: LATER_ATTEMPT };
    const question = questionOf(request, asked, evidence);
    const said = reply ?? (asking ? undefined : (evidence.llm as Reply | undefined));
    const unasked = evidence.fell_back.some(({ from }) => from === 'llm') && !evidence.llm;
    this.registry.position = this.position ?? evidence.registry ?? 0;
    const routed = route(question, this.knowledge(evidence, unasked && !asking), said);
    if (!('ask' in routed)) return comparison(request, routed);
    if (asking && !reply) return { ask: routed.ask, question };
    return { skipped: 'a language model would be asked, and nothing is recorded that it said (--model asks one)' };
  }

  private knowledge(evidence: Recorded, modelless: boolean): Knowledge {
    const { rules, strategy, threshold, shown, misfit } = this.deciders;
    const balancing = evidence.balancing ?? this.deciders.balancing;
    const named = new Map(
      evidence.candidates.map((one) => (typeof one === 'string' ? { agent_id: one } : one)).map((one) => [one.agent_id, one]),
    );
    const passed = new Set(evidence.passed_over.map(({ agent_id }) => agent_id));
    const last = balancing === 'score' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    return {
      ...{ directory: this.registry, rules, strategy, threshold, misfit, balancing, shown: modelless ? null : shown },
      lexicon: () => (this.lexicon ??= new Lexicon(this.registry.all(), this.deciders.meanings)),
      condition: (agentId) => {
        const refused = named.get(agentId)?.refused;
        return {
          breaker: refused === 'breaker_open' ? 'open' : 'closed',
          running: 0,
          full: refused === 'over_limit' || passed.has(agentId),
        };
      },
      // Who was no candidate then has no place in turn: it comes after those who had.
      place: (_, { description }) => {
        const { score = last, turn = score } = named.get(description.agent_id) ?? {};
        return { score, turn: Number.isFinite(turn) ? turn : Number.POSITIVE_INFINITY };
      },
    };
  }
}

/** Neither the same nor different: its decision is that of the first attempt. */
export const LATER_ATTEMPT = 'it is another attempt of a decision that was taken before';

/** What the caller gave: without what the message became, and what a model read out of it. */
function questionOf({ parameters, recent }: RecordedRequest, asked: Record<string, JsonValue>, evidence: Recorded): Question {
  const { capability, agent_id, message, preferred_protocol } = asked;
  const read = message !== undefined && isObject(evidence.llm?.answer) ? evidence.llm.answer['parameters'] : undefined;
  const given = Object.entries(isObject(parameters) ? parameters : {}).filter(
    ([name]) => name !== evidence.message_as && !(isObject(read) && Object.hasOwn(read, name)),
  );
  return {
    ...(typeof capability === 'string' && { capability }),
    ...(typeof agent_id === 'string' && { agent_id }),
    ...(typeof message === 'string' && { message }),
    ...(typeof preferred_protocol === 'string' && { preferred_protocol }),
    parameters: Object.fromEntries(given),
    ...(recent && { previous: recent.previous }),
  };
}

function comparison({ agent_id, capability, routing }: RecordedRequest, { ranked, refused, evidence }: Decision): Redecided {
  const [choice] = ranked;
  const was: Chosen = { agent_id, capability, evidence: routing, error: null };
  const is: Chosen = {
    agent_id: choice?.agent.description.agent_id ?? null,
    capability: choice?.capability ?? null,
    evidence,
    error: refused,
  };
  return { was, is, same: was.agent_id === is.agent_id && was.capability === is.capability };
}

function registered(state: AgentState): RegisteredAgent | null {
  const { in_force } = state;
  if (!isRegistered(state) || !in_force?.description) return null;
  const { protocol, endpoint = null, ...description } = in_force.description;
  const known = { record: in_force.hash, registered_at: in_force.time, status: statusOf(state), source: in_force.source ?? null };
  return { description, protocol, endpoint, client: NOBODY, ...known };
}

/** Decisions call no agent; one that did would be found here. */
class CallsNobody extends AgentClient {
  call(): Promise<Answer> {
    throw new Error('a decision called an agent');
  }

  health(): Promise<Health> {
    throw new Error('a decision asked an agent how it is');
  }

  async close(): Promise<void> {}
}
const NOBODY = new CallsNobody();

const isObject = (value: JsonValue | undefined): value is Record<string, JsonValue> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
