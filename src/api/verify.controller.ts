import { Body, Controller, HttpCode, Post, type StreamableFile } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { verifyLedger } from '../audit/verify.postgres.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { NDJSON, ndjson } from './ndjson.stream.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { SessionId } from './words.schema.js';

const VerifyBody = z
  .strictObject({
    session_id: SessionId.optional().describe('Only this session; without it the whole ledger'),
    from: z.int().min(0).optional().describe('Only events from this place in the global order on'),
    to: z.int().min(0).optional().describe('And up to this one'),
    keys: z
      .array(z.string().max(500))
      .max(16)
      .optional()
      .describe('Verifier keys of the log or of witnesses, from somewhere else than the ledger'),
    known: z
      .array(z.strictObject({ note: z.string().max(65_536), from: z.string().max(1000) }))
      .max(16)
      .optional()
      .describe('Checkpoints that were kept: each as it was signed, and a name for it in the verdict'),
  })
  .refine(
    ({ session_id, from, to }) => session_id === undefined || (from ?? to) === undefined,
    'from and to are places in the order of all sessions',
  )
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
  @ApiOkResponse({ description: 'Progress and verdict', content: { [NDJSON]: { schema: { type: 'string' } } } })
  @Problems(...BAD_BODY)
  verify(@Body({ schema: VerifyBody }) body: z.output<typeof VerifyBody>, @CurrentCaller() caller: Caller): StreamableFile {
    const { session_id, from, to, ...outside } = body ?? {};
    const range = from === undefined && to === undefined ? undefined : { from: from ?? 0, to: to ?? Number.MAX_SAFE_INTEGER };
    const session = session_id === undefined ? undefined : { tenant: caller.tenant, name: session_id };
    return ndjson(verifyLedger(this.db, { ...outside, ...(session ? { session } : range && { range }) }));
  }
}
