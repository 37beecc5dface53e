/** The wiring. The only place that picks adapters. */
import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
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
import { MemoryController } from './api/memory.controller.js';
import { MetricsController } from './api/metrics.controller.js';
import { OrchestrateController } from './api/orchestrate.controller.js';
import { ProblemFilter } from './api/problem.filter.js';
import { RegistrationController } from './api/registration.controller.js';
import { SessionsController } from './api/sessions.controller.js';
import { StatusController } from './api/status.controller.js';
import { TraceController } from './api/trace.controller.js';
import { VerifyController } from './api/verify.controller.js';
import type { Config } from './config.js';
import { ContractManagerModule } from './contracts/contracts.module.js';
import { IdleSessions } from './contracts/idle.worker.js';
import { Recovery } from './contracts/recovery.worker.js';
import { IntegrationModule } from './integration/integration.module.js';
import { AnthropicModel } from './integration/llm/anthropic.client.js';
import { MemAgentForwarding, MemAgentModule } from './integration/memagent/memagent.module.js';
import { JwtVerifier } from './integration/tokens/jwt.client.js';
import { TraceForwarding, TraceModule } from './integration/trace/trace.module.js';
import { KernelModule } from './kernel/kernel.module.js';
import type { Log } from './kernel/log.system.js';
import type { Metrics } from './kernel/metrics.system.js';
import { type Worker, Workers } from './kernel/worker.js';
import { Appender } from './ledger/append.worker.js';
import { Expiry } from './ledger/expiry.worker.js';
import { FollowWorker } from './ledger/follow.worker.js';
import { EmbeddedHousekeeping } from './ledger/housekeeping.worker.js';
import { Instance } from './ledger/instance.worker.js';
import { LedgerModule } from './ledger/ledger.module.js';
import type { OpenLedger } from './ledger/open.postgres.js';
import { Sequencer } from './ledger/sequence.worker.js';
import { Blocks } from './memory/blocks.postgres.js';
import type { Summarizer } from './memory/compress.js';
import { Compressions } from './memory/compressions.worker.js';
import { MemoryModule } from './memory/memory.module.js';
import { pricesOf } from './memory/memory.settings.js';
import { OrchestrationModule } from './orchestration/orchestration.module.js';
import { Recall } from './orchestration/recall.js';

export interface Surroundings {
  readonly config: Config;
  readonly ledger: OpenLedger;
  /** One per process start. */
  readonly owner: string;
  readonly log: Log;
  readonly metrics: Metrics;
}

@Module({})
export class AppModule {
  static in({ config, ledger, owner, log, metrics }: Surroundings): DynamicModule {
    // Started in this order, drained in the opposite one: who appends stops before the appender, the appender before the sequencer.
    const workers = {
      provide: Workers,
      inject: [
        TraceForwarding,
        MemAgentForwarding,
        Instance,
        Sequencer,
        Appender,
        FollowWorker,
        RegistryWorker,
        ProbeWorker,
        DiscoveryWorker,
        Recovery,
        IdleSessions,
        Expiry,
        Compressions,
      ],
      useFactory: (trace: TraceForwarding, memagent: MemAgentForwarding, ...own: Worker[]) =>
        new Workers([...own, ...trace.workers, ...memagent.workers, ...housekeepingOf(ledger)]),
    };
    return {
      module: AppModule,
      global: true,
      exports: [Recall],
      imports: [
        CqrsModule.forRoot(),
        KernelModule.with(log, metrics),
        LedgerModule.on(ledger.db, owner, config.IDEMPOTENCY_HOURS),
        AgentRegistryModule.with(config, log),
        ContractManagerModule.with(config.SESSION_IDLE_MINUTES),
        IntegrationModule.with(config.AGENTS_FILE, config.AGENT_NETWORKS, (message) => log.warn({}, message)),
        MemoryModule.with(summarizerOf(config), config.MEMAGENT_URL !== 'off'),
        OrchestrationModule,
        TraceModule.with(config, log),
        MemAgentModule.with(config),
      ],
      controllers: [
        OrchestrateController,
        ContractsController,
        SessionsController,
        MemoryController,
        AgentsController,
        RegistrationController,
        HealthController,
        StatusController,
        TraceController,
        VerifyController,
        MetricsController,
      ],
      providers: [
        workers,
        // Orchestration and memory stand side by side and do not know each other: here the one's port meets the other's blocks.
        { provide: Recall, inject: [Blocks], useFactory: (blocks: Blocks): Recall => blocks },
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

function summarizerOf(config: Config): Summarizer {
  const { ANTHROPIC_API_KEY: apiKey, ANTHROPIC_TIMEOUT_SECONDS: seconds } = config;
  const model =
    apiKey === undefined
      ? null
      : new AnthropicModel({
          apiKey,
          baseUrl: config.ANTHROPIC_BASE_URL,
          model: config.ANTHROPIC_MODEL,
          maxInput: config.ANTHROPIC_MAX_INPUT_TOKENS,
          maxOutput: config.ANTHROPIC_MAX_OUTPUT_TOKENS,
          timeoutMs: Math.round(seconds * 1000),
          maxRetries: config.ANTHROPIC_MAX_RETRIES,
        });
  return { model, prices: pricesOf(config) };
}

/** A server checkpoints and vacuums by itself. */
function housekeepingOf({ db, embedded }: OpenLedger): Worker[] {
  return embedded ? [new EmbeddedHousekeeping((sql) => db.query(sql))] : [];
}
