import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { type EventProof, proofOf } from '../ledger/proofs.postgres.js';
import { contractHalves } from './contracts.postgres.js';

export type Half = 'request' | 'response';

/** That one half of a contract stands in the newest checkpoint. */
export class ProveContract extends Query<EventProof> {
  constructor(
    readonly tenant: string,
    /** Of either half. */
    readonly id: string,
    readonly half: Half,
  ) {
    super();
  }
}

@QueryHandler(ProveContract)
export class ProveContractHandler implements IQueryHandler<ProveContract> {
  constructor(private readonly db: Database) {}

  async execute({ tenant, id, half }: ProveContract): Promise<EventProof> {
    const event = (await contractHalves(this.db, tenant, id))[half];
    if (!event) throw new OrchestratorError('not_found', `contract ${id} has no RESPONSE yet`, { retryAfter: 1 });
    return proofOf(this.db, event);
  }
}
