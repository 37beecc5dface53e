/**
 * What an agent gets beside its parameters: the caller's context, and what the caller wants out of the session's record. One function per
 * member; each says what goes to the agent, and what goes on the record so that it can be seen later what the agent was given.
 */
import { Injectable } from '@nestjs/common';
import type { RegisteredAgent } from '../agents/directory.js';
import type { Standing } from '../contracts/conversation.js';
import { historyOf, MAX_HISTORY, standingOf } from '../contracts/history.postgres.js';
import { Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import { Database } from '../ledger/database.postgres.js';
import { Recall } from './recall.js';

type Context = Record<string, JsonValue>;

/** One member of the context: what the agent gets in its place, and what the REQUEST discloses about it. */
interface Member {
  readonly context: Context;
  readonly payload: Record<string, JsonValue>;
}

export interface Given extends Member {
  /** Where the conversation with this agent goes on; null: it begins. */
  readonly standing: Standing | null;
}

const NOTHING = {};

@Injectable()
export class TaskContext {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
    private readonly memory: Recall,
  ) {}

  /** Asks the database only for what the caller, or the kind of agent, wants from it; most want nothing, and have it at once. */
  of(session: { tenant: string; name: string }, context: Context, agent: RegisteredAgent): Given | Promise<Given> {
    const wants = typeof context['history'] === 'number' || context['memory'] === true || agent.client.conversational;
    return wants ? this.gathered(session, context, agent) : { context, payload: NOTHING, standing: null };
  }

  private async gathered(session: { tenant: string; name: string }, context: Context, agent: RegisteredAgent): Promise<Given> {
    const history = typeof context['history'] === 'number' ? await this.history(session, context['history']) : null;
    const memory = context['memory'] === true ? await this.recalled(session) : null;
    const standing = agent.client.conversational ? await this.standing(session, agent.description.agent_id) : null;
    return {
      context: { ...context, ...history?.context, ...memory?.context },
      payload: { ...history?.payload, ...memory?.payload, ...(standing && { continues: standing.response }) },
      standing,
    };
  }

  /** `context: {history: n}`: the latest n contracts that have ended. Their ids are recorded; what stands in them is on the record already. */
  private async history({ tenant, name }: { tenant: string; name: string }, n: number): Promise<Member> {
    if (!Number.isInteger(n) || n < 0 || n > MAX_HISTORY)
      throw new OrchestratorError('invalid_request', `context.history: must be a whole number from 0 to ${MAX_HISTORY}, not ${n}`);
    const row = n > 0 ? await this.sessions.find(tenant, name) : undefined;
    const past = row ? await historyOf(this.db, [...row.earlier, row.stream], n) : [];
    return { context: { history: past as unknown as JsonValue }, payload: { history: past.map((contract) => contract.contract_id) } };
  }

  /** `context: {memory: true}`: the newest memory block. Its reference is recorded; what the block says stands in the ledger already and never changes. */
  private async recalled({ tenant, name }: { tenant: string; name: string }): Promise<Member> {
    const known = await this.memory.recall(tenant, name);
    return { context: { memory: known?.block ?? null }, payload: { memory: known && { ...known.reference } } };
  }

  private async standing({ tenant, name }: { tenant: string; name: string }, agent: string): Promise<Standing | null> {
    const row = await this.sessions.find(tenant, name);
    return row ? standingOf(this.db, [...row.earlier, row.stream], agent) : null;
  }
}
