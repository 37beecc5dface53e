import { type DynamicModule, Module } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { Database } from '../ledger/database.postgres.js';
import { FollowWorker } from '../ledger/follow.worker.js';
import { Instance } from '../ledger/instance.worker.js';
import { LedgerAdvanced } from '../ledger/ledger.module.js';
import { ProveContractHandler } from './contract-proof.queries.js';
import { CloseSessionHandler, ContractManager } from './contracts.commands.js';
import { GetContractHandler, ListContractsHandler } from './contracts.queries.js';
import type { ContractsSettings } from './contracts.settings.js';
import { IdleSessions } from './idle.worker.js';
import { IntoSession } from './into-session.postgres.js';
import { Recovery } from './recovery.worker.js';
import { SessionLimit } from './session-limit.postgres.js';
import { Sessions } from './sessions.postgres.js';
import { GetSessionHandler, ListSessionsHandler } from './sessions.queries.js';
import { Tallies } from './tallies.follower.js';

@EventsHandler(LedgerAdvanced)
export class WakeTallies implements IEventHandler<LedgerAdvanced> {
  constructor(private readonly tallies: FollowWorker) {}

  handle(): void {
    this.tallies.kick();
  }
}

@Module({})
export class ContractManagerModule {
  static with(settings: ContractsSettings): DynamicModule {
    const { AGENT_SESSION_TIMEOUT_MINUTES: idleMinutes, MAX_CONCURRENT_AGENT_SESSIONS: most = null } = settings;
    const recovery = {
      provide: Recovery,
      inject: [Database, ContractManager, Instance],
      useFactory: (db: Database, contracts: ContractManager, instance: Instance) => new Recovery(db, contracts, instance.owner),
    };
    const idle = {
      provide: IdleSessions,
      inject: [Database, ContractManager],
      useFactory: (db: Database, contracts: ContractManager) =>
        new IdleSessions(db, contracts, idleMinutes === undefined ? null : idleMinutes * 60),
    };
    const sessions = { provide: Sessions, inject: [Database], useFactory: (db: Database) => new Sessions(db) };
    const tallies = { provide: FollowWorker, inject: [Database], useFactory: (db: Database) => new FollowWorker(db, new Tallies()) };
    const limit = { provide: SessionLimit, inject: [Database], useFactory: (db: Database) => new SessionLimit(db, most) };
    const own = [sessions, limit, recovery, idle, tallies];
    return {
      module: ContractManagerModule,
      global: true,
      providers: [
        ...own,
        IntoSession,
        ContractManager,
        CloseSessionHandler,
        ListContractsHandler,
        GetContractHandler,
        ProveContractHandler,
        ListSessionsHandler,
        GetSessionHandler,
        WakeTallies,
      ],
      exports: [...own.map((p) => p.provide), ContractManager],
    };
  }
}
