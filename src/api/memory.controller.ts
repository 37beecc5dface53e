import { Body, Controller, Get, HttpCode, Param, Post, Query, Res, type StreamableFile } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import type { Caller } from '../kernel/principal.js';
import { Compress, type Compressed } from '../memory/compress.commands.js';
import type { Waiter } from '../memory/compressions.worker.js';
import { GetMemory, ListMemory } from '../memory/memory.queries.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { eventStream, hungUp } from './compress.stream.js';
import { wantsEvents } from './event-writer.stream.js';
import { type CompressAnswer, CompressBody, CompressQuery, isBlockId, MemoryAnswer, MemoryQuery } from './memory.schema.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { SessionId } from './words.schema.js';

@Controller('v1')
@ApiTags('memory')
export class MemoryController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Post('compress')
  @Needs('orchestrate')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Compress a session',
    description:
      'What came since its last memory block is summarised together with that block; nothing new, the same block again. With `Accept: text/event-stream` events ' +
      '`progress` tell how far it is, then `done` or `error` brings the answer. Who hangs up stops it.',
  })
  @ApiOkResponse({
    description: 'Its memory block',
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/CompressAnswer' } },
      'text/event-stream': { schema: { $ref: '#/components/schemas/CompressEvent' } },
    },
  })
  @Problems(...BAD_BODY, 'not_found', 'llm_unavailable')
  @Problems('ledger_unavailable', 'overloaded', 'shutting_down')
  async compress(
    @Body({ schema: CompressBody }) body: z.output<typeof CompressBody>,
    @Query({ schema: CompressQuery }) query: z.output<typeof CompressQuery>,
    @CurrentCaller() caller: Caller,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.output<typeof CompressAnswer> | StreamableFile> {
    const { session_id: session } = body;
    const request = { session, intent: body.intent ?? null, requireModel: query.require === 'llm' };
    const run = (waiter: Waiter) => this.commands.execute(new Compress(caller, request, waiter));
    if (!wantsEvents(reply.request.headers.accept)) {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort(hungUp()));
      return answer(session, await run({ signal: gone.signal, report: () => undefined }));
    }
    await this.queries.execute(new GetMemory(caller.tenant, session, { newest: true })); // an unknown session is a 404, not a stream
    void reply.header('cache-control', 'no-store');
    return eventStream(run, { done: (compressed) => answer(session, compressed), failed: (error) => failure(session, error) });
  }

  @Get('sessions/:id/memory')
  @Needs('contracts:read')
  @ApiOperation({ summary: 'Read the memory of a session', description: 'Its newest memory block, the one of a time or an id, or all.' })
  @ApiOkResponse({ description: 'What is remembered', standardSchema: MemoryAnswer })
  @Problems('invalid_request', 'not_found', 'ledger_unavailable')
  async memory(
    @Param('id', { schema: SessionId }) session_id: string,
    @Query({ schema: MemoryQuery }) { at, all }: z.output<typeof MemoryQuery>,
    @CurrentCaller() caller: Caller,
  ): Promise<z.output<typeof MemoryAnswer>> {
    if (all === 'true') {
      const { blocks, total } = await this.queries.execute(new ListMemory(caller.tenant, session_id));
      return { session_id, memory_blocks: blocks, total };
    }
    const choice = at === undefined ? ({ newest: true } as const) : isBlockId(at) ? { id: at } : { by: new Date(at) };
    return { session_id, memory_block: await this.queries.execute(new GetMemory(caller.tenant, session_id, choice)) };
  }
}

function answer(session_id: string, { block, created }: Compressed): z.output<typeof CompressAnswer> {
  return {
    status: 'ok',
    session_id,
    compressed: block !== null,
    created,
    memory_block: block,
    memagent: block?.memagent ?? null,
    error: null,
  };
}

/** The status line is gone already. */
function failure(session_id: string, error: unknown): z.output<typeof CompressAnswer> {
  const ours = error instanceof OrchestratorError ? error : new OrchestratorError('internal', 'something went wrong on our side');
  return {
    status: 'error',
    session_id,
    compressed: false,
    created: false,
    memory_block: null,
    memagent: null,
    error: ours.message,
    code: ours.code,
  };
}
