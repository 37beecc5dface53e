import { type DynamicModule, Module } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { Log } from '../../kernel/log.system.js';
import type { Worker } from '../../kernel/worker.js';
import { Database } from '../../ledger/database.postgres.js';
import { ForwardWorker } from '../../ledger/forward.worker.js';
import { Instance } from '../../ledger/instance.worker.js';
import { LedgerAdvanced } from '../../ledger/ledger.module.js';
import { MemAgentClient } from './memagent.client.js';
import { MemAgentForwarder } from './memagent.follower.js';
import type { MemAgentSettings } from './memagent.settings.js';

/** What passes memory blocks on to MemAgent; without a worker while that is off. */
export class MemAgentForwarding {
  constructor(private readonly worker: (Worker & { kick(): void }) | null) {}

  get workers(): Worker[] {
    return this.worker ? [this.worker] : [];
  }

  kick(): void {
    this.worker?.kick();
  }
}

@EventsHandler(LedgerAdvanced)
export class WakeMemAgent implements IEventHandler<LedgerAdvanced> {
  constructor(private readonly forwarding: MemAgentForwarding) {}

  handle(): void {
    this.forwarding.kick();
  }
}

@Module({})
export class MemAgentModule {
  static with({ MEMAGENT_URL: url, MEMAGENT_COMPRESS: compress }: MemAgentSettings): DynamicModule {
    const forwarding = {
      provide: MemAgentForwarding,
      inject: [Database, Instance, Log],
      useFactory: (db: Database, { owner }: Instance, log: Log) => {
        if (url === 'off') return new MemAgentForwarding(null);
        return new MemAgentForwarding(new ForwardWorker(db, new MemAgentForwarder(new MemAgentClient({ url, compress }), log), owner));
      },
    };
    return { module: MemAgentModule, providers: [forwarding, WakeMemAgent], exports: [MemAgentForwarding] };
  }
}
