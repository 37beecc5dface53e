import { Readable } from 'node:stream';
import { Body, Controller, HttpCode, Post, StreamableFile } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { verifyLedger } from '../audit/verify.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { Problems } from './problem.filter.js';
import { SessionId } from './words.schema.js';

const VerifyBody = z
  .strictObject({ session_id: SessionId.optional().describe('Only this session; without it the whole ledger') })
  .optional()
  .meta({ id: 'VerifyBody', examples: [{ session_id: 'first' }] });

/** What `agent-orchestrator verify` uses while this server holds the embedded directory: one JSON object a line, progress first, then the verdict. */
@Controller('v1')
@ApiTags('audit')
export class VerifyController {
  constructor(private readonly db: Database) {}

  @Post('verify')
  @Needs('audit')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Verify the record',
    description:
      'Re-derives every hash, link, place, pairing, digest and head from the bytes. Answers one JSON object a line: `{done, total}` any number of times, then the ' +
      'verdict, or `{code, detail}` if the ledger could not be read to its end.',
  })
  @ApiBody({ required: false })
  @ApiOkResponse({ description: 'Progress and verdict', content: { 'application/x-ndjson': { schema: { type: 'string' } } } })
  @Problems('invalid_json', 'invalid_request', 'payload_too_large', 'unsupported_media_type')
  verify(@Body({ schema: VerifyBody }) body: z.output<typeof VerifyBody>, @CurrentCaller() caller: Caller): StreamableFile {
    const session = body?.session_id === undefined ? undefined : { tenant: caller.tenant, name: body.session_id };
    const lines = Readable.from(linesOf(this.db, session ? { session } : {}));
    return new StreamableFile(lines, { type: 'application/x-ndjson' });
  }
}

async function* linesOf(db: Database, scope: Parameters<typeof verifyLedger>[1]): AsyncGenerator<string> {
  try {
    for await (const message of verifyLedger(db, scope)) yield `${JSON.stringify(message)}\n`;
  } catch (error) {
    // The status line is gone already: the failure is a line of its own.
    const ours =
      error instanceof OrchestratorError ? error : new OrchestratorError('ledger_unavailable', 'the ledger could not be read to its end');
    yield `${JSON.stringify({ code: ours.code, detail: ours.message })}\n`;
  }
}
