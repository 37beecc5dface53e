import { type DynamicModule, Module } from '@nestjs/common';
import { CqrsModule, EventBus, EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { Metrics } from '../kernel/metrics.system.js';
import type { Worker } from '../kernel/worker.js';
import { Appender } from './append.worker.js';
import { Database } from './database.postgres.js';
import { Expiry } from './expiry.worker.js';
import { Instance } from './instance.worker.js';
import { Sequencer } from './sequence.worker.js';

/** The ledger has grown: followers wake up. On a server every process hears it by NOTIFY, the one that sequenced too. May be lost, they also poll. */
export class LedgerAdvanced {}

/** What passes the ledger on to a peer; without a worker while that peer is off. */
@EventsHandler(LedgerAdvanced)
export class Forwarding implements IEventHandler<LedgerAdvanced> {
  constructor(private readonly worker: (Worker & { kick(): void }) | null) {}

  get workers(): Worker[] {
    return this.worker ? [this.worker] : [];
  }

  handle(): void {
    this.worker?.kick();
  }
}

@Module({})
export class LedgerModule {
  /** `tree`: the Merkle tree grows over what is sequenced. */
  static on(db: Database, owner: string, { idempotencyHours, tree }: { idempotencyHours: number; tree: boolean }): DynamicModule {
    const sequencer = {
      provide: Sequencer,
      inject: [EventBus],
      useFactory: (events: EventBus) => new Sequencer(db, () => db.embedded && events.publish(new LedgerAdvanced()), { tree }),
    };
    const appender = { provide: Appender, inject: [Sequencer, Metrics], useFactory: appenderOf(db) };
    const instance = { provide: Instance, useFactory: () => new Instance(db, owner) };
    const expiry = { provide: Expiry, useFactory: () => new Expiry(db, idempotencyHours) };
    const providers = [{ provide: Database, useValue: db }, sequencer, appender, instance, expiry];
    return { module: LedgerModule, global: true, imports: [CqrsModule], providers, exports: providers.map((p) => p.provide) };
  }
}

const appenderOf = (db: Database) => (sequencer: Sequencer, metrics: Metrics) => {
  const appended = (events: number) => {
    metrics.batchCommitted(events);
    sequencer.kick();
  };
  return new Appender(db, appended, (seconds) => metrics.appended(seconds));
};
