import { Body, Controller, HttpCode, Post, type StreamableFile } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import type { ExportRequest } from '../audit/export/evidence.js';
import { evidenceOf } from '../audit/export/evidence.postgres.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { ExportBody } from './export.schema.js';
import { NDJSON, ndjson } from './ndjson.stream.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { VERSION } from './version.js';

/** What `agent-orchestrator export` makes bundles of when it asks a server: one piece of evidence a line. */
@Controller('v1')
@ApiTags('audit')
export class ExportController {
  constructor(private readonly db: Database) {}

  @Post('export')
  @Needs('audit')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Export evidence',
    description:
      'A session, a contract or a range of the log of the caller’s tenant, as the raw material of `agent-orchestrator export`: an opening, then records with their ' +
      'disclosures, the checkpoint, proofs, and an `end`, without which it was cut; or `{code, detail}` if it could not be read to its end. One JSON object a line.',
  })
  @ApiBody({ required: true })
  @ApiOkResponse({ description: 'Evidence', content: { [NDJSON]: { schema: { type: 'string' } } } })
  @Problems(...BAD_BODY, 'not_found', 'ledger_unavailable')
  async export(@Body({ schema: ExportBody }) body: z.output<typeof ExportBody>, @CurrentCaller() caller: Caller): Promise<StreamableFile> {
    const { only = null, prove_all: proveAll, known } = body;
    const request = { tenant: caller.tenant, what: whatOf(body), only, proveAll, known };
    const evidence = evidenceOf({ db: this.db, madeBy: `agent-orchestrator ${VERSION}` }, request);
    const opening = await evidence.next(); // what does not exist is a 404, not a line
    return ndjson(from(opening.value, evidence));
  }
}

async function* from<T extends object>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

function whatOf({ session_id, contract_id, from: first, to }: z.output<typeof ExportBody>): ExportRequest['what'] {
  if (session_id !== undefined) return { session: session_id };
  return contract_id === undefined ? { from: first!, to: to! } : { contract: contract_id };
}
