import { type DynamicModule, Module } from '@nestjs/common';
import { Sessions } from '../contracts/sessions.postgres.js';
import { Log } from '../kernel/log.system.js';
import { Database } from '../ledger/database.postgres.js';
import { Blocks } from './blocks.postgres.js';
import { CompressHandler } from './compress.commands.js';
import { SUMMARIZER, type Summarizer } from './compress.js';
import { Compressions } from './compressions.worker.js';
import { GetMemoryHandler, ListMemoryHandler } from './memory.queries.js';

/** Compresses sessions into memory blocks. `forwarded`: blocks are passed on to MemAgent. */
@Module({})
export class MemoryModule {
  static with(summarizer: Summarizer, forwarded: boolean): DynamicModule {
    const blocks = {
      provide: Blocks,
      inject: [Database, Sessions],
      useFactory: (db: Database, sessions: Sessions) => new Blocks(db, sessions, forwarded),
    };
    const compressions = {
      provide: Compressions,
      inject: [Log],
      useFactory: (log: Log) => new Compressions(summarizer.model?.name ?? null, summarizer.prices, log),
    };
    return {
      module: MemoryModule,
      global: true,
      providers: [
        blocks,
        compressions,
        { provide: SUMMARIZER, useValue: summarizer },
        CompressHandler,
        GetMemoryHandler,
        ListMemoryHandler,
      ],
      exports: [Blocks, Compressions],
    };
  }
}
