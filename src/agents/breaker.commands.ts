/** Puts on an agent's stream that a process has stopped calling it, or calls it again. */
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { newDraft } from '../ledger/draft.system.js';
import { isRegistered } from './agent-state.js';
import { AgentStreams } from './agents.postgres.js';

export class NoteBreaker extends Command<void> {
  constructor(
    readonly agentId: string,
    readonly breaker: 'open' | 'closed',
    /** Why, in words. */
    readonly reason: string,
    /** Whose breaker it is: each process has its own. */
    readonly owner: string,
  ) {
    super();
  }
}

@CommandHandler(NoteBreaker)
export class NoteBreakerHandler implements ICommandHandler<NoteBreaker> {
  constructor(private readonly streams: AgentStreams) {}

  /** Nothing is written of an agent that has retired meanwhile. */
  async execute({ agentId, breaker, reason, owner }: NoteBreaker): Promise<void> {
    await this.streams.write(agentId, (now) =>
      isRegistered(now) ? newDraft('agent.breaker', { breaker, cause: now.in_force!.event_id }, { reason, owner }) : null,
    );
  }
}
