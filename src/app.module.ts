/** The wiring. The only place that picks adapters. */
import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import type { Logger } from 'pino';
import { AgentRegistryModule } from './agents/agents.module.js';
import { DiscoveryWorker } from './agents/discovery.worker.js';
import { ProbeWorker } from './agents/probe.worker.js';
import { RegistryWorker } from './agents/registry.worker.js';
import { AgentItems } from './api/agent-items.system.js';
import { AgentsController } from './api/agents.controller.js';
import { API_SETTINGS } from './api/api.settings.js';
import { AuthGuard } from './api/auth.guard.js';
import { tokenChecks } from './api/auth.settings.js';
import { ContractsController } from './api/contracts.controller.js';
import { HealthController } from './api/health.controller.js';
import { OrchestrateController } from './api/orchestrate.controller.js';
import { ProblemFilter } from './api/problem.filter.js';
import { RegistrationController } from './api/registration.controller.js';
import { SessionsController } from './api/sessions.controller.js';
import { StatusController } from './api/status.controller.js';
import { VerifyController } from './api/verify.controller.js';
import type { Config } from './config.js';
import { ContractManagerModule } from './contracts/contracts.module.js';
import { IdleSessions } from './contracts/idle.worker.js';
import { Recovery } from './contracts/recovery.worker.js';
import { IntegrationModule } from './integration/integration.module.js';
import { JwtVerifier } from './integration/tokens/jwt.client.js';
import { type Worker, Workers } from './kernel/worker.js';
import { Appender } from './ledger/append.worker.js';
import { Expiry } from './ledger/expiry.worker.js';
import { FollowWorker } from './ledger/follow.worker.js';
import { EmbeddedHousekeeping } from './ledger/housekeeping.worker.js';
import { Instance } from './ledger/instance.worker.js';
import { LedgerModule } from './ledger/ledger.module.js';
import type { OpenLedger } from './ledger/open.postgres.js';
import { Sequencer } from './ledger/sequence.worker.js';
import { OrchestrationModule } from './orchestration/orchestration.module.js';

export interface Surroundings {
  readonly config: Config;
  readonly ledger: OpenLedger;
  /** One per process start. */
  readonly owner: string;
  readonly log: Logger;
}

@Module({})
export class AppModule {
  static in({ config, ledger, owner, log }: Surroundings): DynamicModule {
    // Started in this order, drained in the opposite one: who appends stops before the appender, the appender before the sequencer.
    const workers = {
      provide: Workers,
      inject: [Instance, Sequencer, Appender, FollowWorker, RegistryWorker, ProbeWorker, DiscoveryWorker, Recovery, IdleSessions, Expiry],
      useFactory: (...own: Worker[]) => new Workers([...own, ...housekeepingOf(ledger)]),
    };
    return {
      module: AppModule,
      imports: [
        CqrsModule.forRoot(),
        LedgerModule.on(ledger.db, owner, config.IDEMPOTENCY_HOURS),
        AgentRegistryModule.with(config, log),
        ContractManagerModule.with(config.SESSION_IDLE_MINUTES),
        IntegrationModule.with(config.AGENTS_FILE, config.AGENT_NETWORKS),
        OrchestrationModule,
      ],
      controllers: [
        OrchestrateController,
        ContractsController,
        SessionsController,
        AgentsController,
        RegistrationController,
        HealthController,
        StatusController,
        VerifyController,
      ],
      providers: [
        workers,
        AgentItems,
        { provide: API_SETTINGS, useValue: config },
        { provide: APP_GUARD, inject: [Reflector], useFactory: (reflector: Reflector) => new AuthGuard(reflector, verifierFor(config)) },
        { provide: ProblemFilter, useFactory: () => new ProblemFilter(log) },
      ],
    };
  }
}

function verifierFor(config: Config): JwtVerifier | null {
  const checks = tokenChecks(config);
  return checks && new JwtVerifier(checks);
}

/** A server checkpoints and vacuums by itself. */
function housekeepingOf({ db, embedded }: OpenLedger): Worker[] {
  return embedded ? [new EmbeddedHousekeeping((sql) => db.query(sql))] : [];
}
