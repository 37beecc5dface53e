import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import { DiscoveryWorker, type Looked } from './discovery.worker.js';

/** Looks at the addresses of agents now: all that are known, or one of them. */
export class RefreshAgents extends Command<Looked[]> {
  constructor(readonly url: string | undefined) {
    super();
  }
}

@CommandHandler(RefreshAgents)
export class RefreshAgentsHandler implements ICommandHandler<RefreshAgents> {
  constructor(private readonly discovery: DiscoveryWorker) {}

  async execute({ url }: RefreshAgents) {
    const known = this.discovery.urls();
    if (url !== undefined && !known.includes(url))
      throw new OrchestratorError('not_found', `${url} is no address agents were discovered at; register it with POST /v1/agents`);
    return this.discovery.refresh(url === undefined ? known : [url]);
  }
}
