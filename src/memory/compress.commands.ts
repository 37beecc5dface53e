/**
 * Compresses a session: what came since its last block is read, summarised together with that block, and recorded as the next one. Nothing
 * new, nothing done. The block is an event of the session's stream, also after the session was closed: it is no contract event.
 */
import { Inject } from '@nestjs/common';
import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { Sessions } from '../contracts/sessions.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';
import type { Caller } from '../kernel/principal.js';
import { loadStates } from '../ledger/append.postgres.js';
import { Appender } from '../ledger/append.worker.js';
import type { Intent } from '../ledger/batch.js';
import { Database } from '../ledger/database.postgres.js';
import { newDraft } from '../ledger/draft.system.js';
import { countErasures } from '../ledger/erase.postgres.js';
import type { MemoryBlock, MemoryContent } from './block.js';
import { Blocks, newestBlock, type StoredBlock } from './blocks.postgres.js';
import { compress, SUMMARIZER, type Summarizer } from './compress.js';
import { Compressions, type Waiter } from './compressions.worker.js';
import { readSource } from './source.postgres.js';

export interface Compressed {
  /** null: the session has nothing that could be compressed. */
  readonly block: MemoryBlock | null;
  /** False: nothing had happened since this block. */
  readonly created: boolean;
}

export interface CompressRequest {
  readonly session: string;
  /** What the memory is wanted for. */
  readonly intent: string | null;
  /** Fail as `llm_unavailable` rather than extract; what was only extracted before is summarised again. */
  readonly requireModel: boolean;
}

export class Compress extends Command<Compressed> {
  constructor(
    readonly caller: Caller,
    readonly request: CompressRequest,
    readonly waiter: Waiter,
  ) {
    super();
  }
}

/** Another writer of the stream costs a lookup, not a model call, so there may be many. */
const MOST_ATTEMPTS = 50;

type Found = { block: StoredBlock; created: boolean } | null;

interface Part {
  readonly stream: string;
  /** What the session's earlier streams came to. */
  readonly before: Found;
  /** What had been erased of the session when it was read. */
  readonly unerased: NonNullable<Intent['unerased']>;
}

@CommandHandler(Compress)
export class CompressHandler implements ICommandHandler<Compress> {
  constructor(
    private readonly db: Database,
    private readonly appender: Appender,
    private readonly sessions: Sessions,
    private readonly blocks: Blocks,
    private readonly compressions: Compressions,
    @Inject(SUMMARIZER) private readonly summarizer: Summarizer,
  ) {}

  async execute({ caller, request, waiter }: Compress): Promise<Compressed> {
    const session = await this.sessions.find(caller.tenant, request.session);
    if (!session) throw new OrchestratorError('not_found', `there is no session "${request.session}"`);
    // Who joins gets the block that was wanted by whoever came first, with his intent.
    const key = JSON.stringify([session.stream, request.requireModel]);
    const found = await this.compressions.share(key, waiter, async (shared) => {
      const streams = [...session.earlier, session.stream];
      const unerased = { streams, erasures: await countErasures(this.db, streams) };
      let last: Found = null;
      for (const stream of streams)
        last = (await this.compressStream({ stream, before: last, unerased }, new Compress(caller, request, shared))) ?? last;
      return last;
    });
    if (!found) return { block: null, created: false };
    const [block] = await this.blocks.shown([found.block]);
    return { block: block!, created: found.created };
  }

  /** The stream's block, new or not; null: it has nothing to make one of. */
  private async compressStream({ stream, before, unerased }: Part, { caller, request, waiter }: Compress): Promise<Found> {
    const enough = (content: MemoryContent) => !request.requireModel || content.summarizer === 'llm';
    const own = await newestBlock(this.db, stream, enough);
    waiter.report({ step: 'read', done: 0, total: 1 });
    const source = await readSource(this.db, stream, own?.content.to_seq ?? 0, waiter.signal);
    if (!source) return own && { block: own, created: false };
    const content = await compress(source, own ?? before?.block ?? null, this.summarizer, {
      intent: request.intent,
      requireModel: request.requireModel,
      ...waiter,
      spent: (usage) => this.compressions.spent(usage),
    });
    waiter.report({ step: 'record', done: 0, total: 1 });
    const draft = newDraft(
      'session.compressed',
      { from_seq: content.from_seq, to_seq: content.to_seq, source_hash: content.source_hash },
      { memory: content as unknown as JsonValue, principal: caller.principal ?? undefined },
    );
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      waiter.signal.throwIfAborted();
      const { seq } = (await loadStates(this.db, [stream])).get(stream)!;
      const newest = await newestBlock(this.db, stream, enough);
      if (newest && newest.id !== own?.id) return { block: newest, created: false }; // somebody else was first: his is the session's
      const result = await this.appender.append({ stream, drafts: [draft], expectSeq: seq, unerased });
      if (result.refusal?.code === 'erased')
        throw new OrchestratorError(
          'ledger_unavailable',
          'something of this session was erased meanwhile, nothing was recorded; try again',
          {
            retryAfter: 1,
          },
        );
      if (result.refusal) continue; // the stream moved: look again
      const { seq: at, hash } = result.placed[0]!;
      const block = { id: draft.id, stream, seq: at, hash: hash.toString('hex'), time: draft.time, content };
      this.compressions.made(block);
      return { block, created: true };
    }
    throw new OrchestratorError('ledger_unavailable', 'the session is written too busily to record its memory block; try again', {
      retryAfter: 1,
    });
  }
}
