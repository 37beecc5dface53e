import { Controller, Get, Header, Param, Query } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { ProveContract } from '../contracts/contract-proof.queries.js';
import { GetContract, ListContracts } from '../contracts/contracts.queries.js';
import type { Caller } from '../kernel/principal.js';
import { proofFile } from '../ledger/proofs.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { ContractDetail, ContractId, ContractsPage, ContractsQuery } from './contracts.schema.js';
import { ProofQuery } from './log.schema.js';
import { Problems } from './problem.filter.js';

@Controller('v1/contracts')
@ApiTags('contracts')
export class ContractsController {
  constructor(private readonly queries: QueryBus) {}

  @Get()
  @Needs('contracts:read')
  @ApiOperation({
    summary: 'List contracts',
    description:
      'Both halves of each. Pages stay put while events arrive. Without `session_id` a page looks at no more than 50 000 events: if the filters let ' +
      'little pass it is short, even empty, and `next_cursor` goes on from there.',
  })
  @ApiOkResponse({ description: 'One page', standardSchema: ContractsPage })
  @Problems('invalid_request', 'ledger_unavailable')
  async listContracts(
    @Query({ schema: ContractsQuery }) query: z.output<typeof ContractsQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof ContractsPage>> {
    const { session_id, limit, cursor, ...filter } = query;
    const page = await this.queries.execute(new ListContracts(caller.tenant, session_id, filter, { limit, cursor }));
    const { total_exact, ...rest } = page;
    return { ...(session_id !== undefined && { session_id }), ...rest, ...(!total_exact && { total_exact }) };
  }

  @Get(':id')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Read a contract', description: 'Both halves, found by the id of either.' })
  @ApiOkResponse({ description: 'The contract', standardSchema: ContractDetail })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  getContract(@Param('id', { schema: ContractId }) id: string, @CurrentCaller() caller: Caller): Promise<z.output<typeof ContractDetail>> {
    return this.queries.execute(new GetContract(caller.tenant, id));
  }

  @Get(':id/proof')
  @Needs('contracts:read')
  @Header('content-type', 'text/plain; charset=utf-8')
  @ApiOperation({
    summary: 'Prove a contract offline',
    description:
      'A C2SP .tlog-proof file: the record, its path, and the newest checkpoint. Whoever has a key of the log can check it without us.',
  })
  @ApiOkResponse({ description: 'The file', content: { 'text/plain': { schema: { type: 'string' } } } })
  @Problems('invalid_request', 'not_found', 'not_published', 'ledger_unavailable')
  async proveContract(
    @Param('id', { schema: ContractId }) id: string,
    @Query({ schema: ProofQuery }) { of }: z.output<typeof ProofQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<string> {
    return proofFile(await this.queries.execute(new ProveContract(caller.tenant, id, of)));
  }
}
