import { type DynamicModule, Module } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { Sessions } from '../contracts/sessions.postgres.js';
import { Appender } from '../ledger/append.worker.js';
import { Database } from '../ledger/database.postgres.js';
import { EraseSessionHandler } from './erase.commands.js';
import { Erasures } from './erasures.worker.js';
import { ListHoldsHandler, PlaceHoldHandler, ReleaseHoldHandler } from './holds.commands.js';
import { Retention } from './retention.worker.js';
import { SystemStream } from './system-stream.postgres.js';

@Module({})
export class EraseModule {
  /** `peers`: names of the followers that tell somebody outside of erasures. */
  static with({ retentionDays, peers }: { retentionDays: number | undefined; peers: readonly string[] }): DynamicModule {
    const system = {
      provide: SystemStream,
      inject: [Database, Appender],
      useFactory: (db: Database, a: Appender) => new SystemStream(db, a),
    };
    const erasures = {
      provide: Erasures,
      inject: [Database, SystemStream, Sessions],
      useFactory: (db: Database, stream: SystemStream, sessions: Sessions) => new Erasures(db, stream, sessions, peers),
    };
    const retention = {
      provide: Retention,
      inject: [Database, CommandBus],
      useFactory: (db: Database, commands: CommandBus) => new Retention(db, commands, retentionDays ?? null),
    };
    const handlers = [EraseSessionHandler, PlaceHoldHandler, ReleaseHoldHandler, ListHoldsHandler];
    return { module: EraseModule, providers: [system, erasures, retention, ...handlers], exports: [Erasures, Retention] };
  }
}
