import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../ledger/database.postgres.js';
import { type AgentState, isRegistered } from './agent-state.js';
import { agentStates, seqAt } from './agents.postgres.js';
import { unknown } from './ownership.js';

/** An agent as it was: by its place in the log, or by time; without `at` one that has retired. Throws `not_found` for who never was. */
export class GetAgentThen extends Query<{ state: AgentState; at: string }> {
  constructor(
    readonly agentId: string,
    readonly at: string | undefined,
  ) {
    super();
  }
}

@QueryHandler(GetAgentThen)
export class GetAgentThenHandler implements IQueryHandler<GetAgentThen> {
  constructor(private readonly db: Database) {}

  async execute({ agentId, at }: GetAgentThen) {
    const [now] = await agentStates(this.db, [agentId]);
    if (now!.seq === 0 || (at === undefined && isRegistered(now!))) throw unknown(agentId);
    if (at === undefined) return { state: now!, at: 'now' };
    const seq = await seqAt(this.db, agentId, /^\d+$/.test(at) ? { idx: Number(at) } : { time: at });
    const [state] = await agentStates(this.db, [agentId], seq);
    return { state: state!, at };
  }
}
