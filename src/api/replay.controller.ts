/**
 * What `agent-orchestrator replay` uses while this server holds the embedded directory. Each answer is one JSON object a line: `{step, done,
 * total}` any number of times, `{source}` once it is verified, `{item}` after item, and in the end `{result}`.
 */
import { applyDecorators, Body, Controller, HttpCode, Post, type StreamableFile } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { replayRequests } from '../audit/replay-decisions.postgres.js';
import { replayRecord } from '../audit/replay-record.postgres.js';
import { pointOf } from '../audit/replay-session.js';
import { replaySession } from '../audit/replay-session.postgres.js';
import { ApplyViews } from '../audit/replay-views.commands.js';
import { replayViews } from '../audit/replay-views.postgres.js';
import type { Caller } from '../kernel/principal.js';
import { Database } from '../ledger/database.postgres.js';
import { CurrentCaller, Needs } from './auth.guard.js';
import { NDJSON, ndjson } from './ndjson.stream.js';
import { BAD_BODY, Problems } from './problem.filter.js';
import { ReplayDecisionsBody, ReplayRecordBody, ReplaySessionBody, ReplayViewsBody } from './replay.schema.js';

const HOW =
  'Answers one JSON object a line: `{step, done, total}`, then `{source}` as it was verified, `{item}` after item, and last `{result}`.';

const Replays = (summary: string, description: string, items: string) =>
  applyDecorators(
    HttpCode(200),
    ApiOperation({ summary, description: `${description}\n\n${HOW}` }),
    ApiOkResponse({ description: items, content: { [NDJSON]: { schema: { type: 'string' } } } }),
    Problems(...BAD_BODY),
  );

@Controller('v1/replay')
@ApiTags('audit')
export class ReplayController {
  constructor(
    private readonly db: Database,
    private readonly commands: CommandBus,
  ) {}

  @Post('views')
  @Needs('audit')
  @ApiBody({ required: false })
  @Replays(
    'Rebuild the views',
    'Folds the aggregate views again from the whole ledger, of all tenants, and compares them with the live ones at the same place.',
    'Rows that differ; with `apply` they have been put right',
  )
  views(@Body({ schema: ReplayViewsBody }) body: z.output<typeof ReplayViewsBody>): StreamableFile {
    const apply = body?.apply ? (rebuilt: ApplyViews['rebuilt']) => this.commands.execute(new ApplyViews(rebuilt)) : undefined;
    return ndjson(replayViews(this.db, { verify: body?.verify ?? true, apply }));
  }

  @Post('session')
  @Needs('audit')
  @Replays('Show a session as it was', 'Folds the session up to a place or a time.', 'Its contracts as they were known then, and its state')
  session(
    @Body({ schema: ReplaySessionBody }) { session_id: session, at }: z.output<typeof ReplaySessionBody>,
    @CurrentCaller() { tenant }: Caller,
  ): StreamableFile {
    return ndjson(replaySession(this.db, { tenant, session, at: at === undefined ? undefined : pointOf(at) }));
  }

  @Post('record')
  @Needs('audit')
  @Replays(
    'Write a session down as a history',
    'Its records byte for byte, with what is left of their payload.',
    'The lines of the history',
  )
  record(
    @Body({ schema: ReplayRecordBody }) { session_id: session }: z.output<typeof ReplayRecordBody>,
    @CurrentCaller() { tenant }: Caller,
  ): StreamableFile {
    return ndjson(replayRecord(this.db, { tenant, session }));
  }

  @Post('decisions')
  @Needs('audit')
  @ApiBody({ required: false })
  @Replays(
    'Read what decisions are taken again with',
    'Recorded requests with the evidence of how they were routed, and the agents they are routed among. Nothing is decided here.',
    'Agents and requests',
  )
  decisions(
    @Body({ schema: ReplayDecisionsBody }) body: z.output<typeof ReplayDecisionsBody>,
    @CurrentCaller() { tenant }: Caller,
  ): StreamableFile {
    const { session_id: session, since, agents = 'now', recent = false, verify = true } = body ?? {};
    return ndjson(
      replayRequests(this.db, { tenant, session, since: since === undefined ? undefined : Date.parse(since), agents, recent, verify }),
    );
  }
}
