import { Controller, Get, Header, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { ProveContract } from '../contracts/contract-proof.queries.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { anchors } from '../ledger/anchors.postgres.js';
import { logKeys, logs, newestCheckpoint, witnessedCheckpoint } from '../ledger/checkpoint.postgres.js';
import { Checkpoints } from '../ledger/checkpoint.worker.js';
import { Database } from '../ledger/database.postgres.js';
import { consistencyProof, mustBePublished, signedNote } from '../ledger/proofs.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { CheckpointQuery, ConsistencyProof, ConsistencyQuery, InclusionProof, InclusionQuery, LogStatus } from './log.schema.js';
import { Problems } from './problem.filter.js';

const hex = (hashes: readonly Buffer[]) => hashes.map((hash) => hash.toString('hex'));

@Controller('v1/log')
@ApiTags('log')
export class LogController {
  constructor(
    private readonly db: Database,
    private readonly queries: QueryBus,
    private readonly checkpoints: Checkpoints,
  ) {}

  @Get()
  @Needs('contracts:read')
  @ApiOperation({ summary: 'How is the log?', description: 'Its name, its keys, and the newest checkpoint in numbers.' })
  @ApiOkResponse({ description: 'Now', standardSchema: LogStatus })
  @Problems('ledger_unavailable')
  async logStatus(): Promise<z.output<typeof LogStatus>> {
    const [newest, all, keys, kept] = await Promise.all([newestCheckpoint(this.db), logs(this.db), logKeys(this.db), anchors(this.db)]);
    return {
      origin: newest?.origin ?? null,
      size: newest?.size ?? 0,
      root: newest?.root.toString('hex') ?? null,
      signed_at: newest?.signed_at.toISOString() ?? null,
      refused: this.checkpoints.refusal,
      logs: all.map(({ origin, first_idx, size }) => ({ origin, first_idx, size })),
      keys,
      anchors: kept.map(({ name, size, at, error }) => ({ name, size, at: at?.toISOString() ?? null, error })),
    };
  }

  @Get('checkpoint')
  @Needs('contracts:read')
  @Header('content-type', 'text/plain; charset=utf-8')
  @ApiOperation({
    summary: 'Read the newest checkpoint',
    description: 'A C2SP signed note: name, size and root of the log. Keep it: it holds us to all before it.',
  })
  @ApiOkResponse({ description: 'The signed note', content: { 'text/plain': { schema: { type: 'string' } } } })
  @Problems('invalid_request', 'not_published', 'ledger_unavailable')
  async checkpoint(@Query({ schema: CheckpointQuery }) { witnessed }: z.output<typeof CheckpointQuery>): Promise<string> {
    const found = witnessed === 'true' ? await witnessedCheckpoint(this.db) : await mustBePublished(this.db);
    if (!found) throw new OrchestratorError('not_published', 'no witness has cosigned a checkpoint yet', { retryAfter: 10 });
    return signedNote(found);
  }

  @Get('proof/inclusion')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Prove that a contract is in the log', description: 'Against the newest checkpoint.' })
  @ApiOkResponse({ description: 'The proof', standardSchema: InclusionProof })
  @Problems('invalid_request', 'not_found', 'not_published', 'ledger_unavailable')
  async proveInclusion(
    @Query({ schema: InclusionQuery }) { contract, of }: z.output<typeof InclusionQuery>,
    @CurrentCaller() { tenant }: Caller,
  ): Promise<z.output<typeof InclusionProof>> {
    const { event, index, checkpoint, path } = await this.queries.execute(new ProveContract(tenant, contract, of));
    return {
      event_id: event.event_id,
      index,
      leaf_hash: event.hash.toString('hex'),
      path: hex(path),
      tree_size: checkpoint.size,
      root: checkpoint.root.toString('hex'),
      checkpoint: signedNote(checkpoint),
    };
  }

  @Get('proof/consistency')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Prove that the log only grew', description: 'Between two sizes, of which you have checkpoints.' })
  @ApiOkResponse({ description: 'The proof', standardSchema: ConsistencyProof })
  @Problems('invalid_request', 'not_published', 'ledger_unavailable')
  async proveConsistency(
    @Query({ schema: ConsistencyQuery }) query: z.output<typeof ConsistencyQuery>,
  ): Promise<z.output<typeof ConsistencyProof>> {
    const { from, to, fromRoot, toRoot, path } = await consistencyProof(this.db, query.from, query.to);
    return { from, to, from_root: fromRoot.toString('hex'), to_root: toRoot.toString('hex'), path: hex(path) };
  }
}
