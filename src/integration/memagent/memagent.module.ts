import { type DynamicModule, Module } from '@nestjs/common';
import { Log } from '../../kernel/log.system.js';
import { Database } from '../../ledger/database.postgres.js';
import { ForwardWorker } from '../../ledger/forward.worker.js';
import { Instance } from '../../ledger/instance.worker.js';
import { Forwarding } from '../../ledger/ledger.module.js';
import { MemAgentClient } from './memagent.client.js';
import { MemAgentForwarder } from './memagent.follower.js';
import type { MemAgentSettings } from './memagent.settings.js';

/** Provides the Forwarding to MemAgent. */
export const MEMAGENT_FORWARDING = Symbol('MemAgent forwarding');

@Module({})
export class MemAgentModule {
  static with({ MEMAGENT_URL: url, MEMAGENT_COMPRESS: compress }: MemAgentSettings): DynamicModule {
    const forwarding = {
      provide: MEMAGENT_FORWARDING,
      inject: [Database, Instance, Log],
      useFactory: (db: Database, { owner }: Instance, log: Log) => {
        if (url === 'off') return new Forwarding(null);
        return new Forwarding(new ForwardWorker(db, new MemAgentForwarder(new MemAgentClient({ url, compress }), log), owner));
      },
    };
    return { module: MemAgentModule, providers: [forwarding], exports: [MEMAGENT_FORWARDING] };
  }
}
