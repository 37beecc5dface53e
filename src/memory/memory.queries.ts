import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import type { MemoryBlock } from './block.js';
import { type BlockChoice, Blocks } from './blocks.postgres.js';

/** One block of a session; null if it has none. */
export class GetMemory extends Query<MemoryBlock | null> {
  constructor(
    readonly tenant: string,
    readonly session: string,
    readonly choice: BlockChoice,
  ) {
    super();
  }
}

@QueryHandler(GetMemory)
export class GetMemoryHandler implements IQueryHandler<GetMemory> {
  constructor(private readonly blocks: Blocks) {}

  async execute({ tenant, session, choice }: GetMemory) {
    const block = await this.blocks.find(tenant, session, choice);
    if (block === undefined) throw noSession(session);
    return block;
  }
}

/** The newest blocks of a session, newest first. */
export class ListMemory extends Query<{ blocks: MemoryBlock[]; total: number }> {
  constructor(
    readonly tenant: string,
    readonly session: string,
  ) {
    super();
  }
}

@QueryHandler(ListMemory)
export class ListMemoryHandler implements IQueryHandler<ListMemory> {
  constructor(private readonly blocks: Blocks) {}

  async execute({ tenant, session }: ListMemory) {
    const all = await this.blocks.all(tenant, session);
    if (!all) throw noSession(session);
    return all;
  }
}

const noSession = (session: string) => new OrchestratorError('not_found', `there is no session "${session}"`);
