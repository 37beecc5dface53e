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
import { ErasureController } from './api/erasure.controller.js';
import { ExportController } from './api/export.controller.js';
import { HealthController } from './api/health.controller.js';
import { LogController } from './api/log.controller.js';
import { MemAgentController } from './api/memagent.controller.js';
import { MemoryController } from './api/memory.controller.js';
import { MetricsController } from './api/metrics.controller.js';
import { OrchestrateController } from './api/orchestrate.controller.js';
import { ProblemFilter } from './api/problem.filter.js';
import { RegistrationController } from './api/registration.controller.js';
import { ReplayController } from './api/replay.controller.js';
import { RoutingController } from './api/routing.controller.js';
import { SessionsController } from './api/sessions.controller.js';
import { StatusController } from './api/status.controller.js';
import { TasksController } from './api/tasks.controller.js';
import { entriesControllers, TilesController } from './api/tiles.controller.js';
import { TraceController } from './api/trace.controller.js';
import { VerifyController } from './api/verify.controller.js';
import { AuditModule } from './audit/audit.module.js';
import { EraseModule } from './audit/erase.module.js';
import { Erasures } from './audit/erasures.worker.js';
import { ApplyViewsHandler } from './audit/replay-views.commands.js';
import { Retention } from './audit/retention.worker.js';
import { SelfCheck } from './audit/self-check.worker.js';
import type { Config } from './config.js';
import { ContractManagerModule } from './contracts/contracts.module.js';
import { IdleSessions } from './contracts/idle.worker.js';
import { Recovery } from './contracts/recovery.worker.js';
import { AnchorsModule } from './integration/anchors/anchors.module.js';
import { IntegrationModule } from './integration/integration.module.js';
import type { AnthropicClassifier } from './integration/llm/anthropic-classifier.client.js';
import type { MessagesSettings } from './integration/llm/messages.client.js';
import { MEMAGENT_FORWARDING, MemAgentModule } from './integration/memagent/memagent.module.js';
import { readCredentials } from './integration/tokens/credentials-file.system.js';
import type { JwtVerifier } from './integration/tokens/jwt.client.js';
import { TRACE_FORWARDING, TraceModule } from './integration/trace/trace.module.js';
import { TRACE } from './integration/trace/trace-message.js';
import { KernelModule } from './kernel/kernel.module.js';
import type { Log } from './kernel/log.system.js';
import type { Metrics } from './kernel/metrics.system.js';
import { type Worker, Workers } from './kernel/worker.js';
import { Anchors } from './ledger/anchors.worker.js';
import { Appender } from './ledger/append.worker.js';
import { CheckpointModule } from './ledger/checkpoint.module.js';
import { Checkpoints } from './ledger/checkpoint.worker.js';
import { Expiry } from './ledger/expiry.worker.js';
import { FollowWorker } from './ledger/follow.worker.js';
import { EmbeddedHousekeeping } from './ledger/housekeeping.worker.js';
import { Instance } from './ledger/instance.worker.js';
import { type Forwarding, LedgerModule } from './ledger/ledger.module.js';
import type { OpenLedger } from './ledger/open.postgres.js';
import { Sequencer } from './ledger/sequence.worker.js';
import { Blocks, MEMAGENT } from './memory/blocks.postgres.js';
import type { Summarizer } from './memory/compress.js';
import { Compressions } from './memory/compressions.worker.js';
import { MemoryModule } from './memory/memory.module.js';
import { pricesOf } from './memory/memory.settings.js';
import { PlanSynthesis } from './memory/synthesis.js';
import { BreakerEvents } from './orchestration/breaker-events.worker.js';
import { OrchestrationModule } from './orchestration/orchestration.module.js';
import { Recall } from './orchestration/recall.js';
import { RunningTasks } from './orchestration/running-tasks.worker.js';
import { Synthesizer } from './orchestration/synthesizer.js';
import { LoadSharing } from './routing/load.worker.js';
import { RoutingModule } from './routing/routing.module.js';

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
  static async in({ config, ledger, owner, log, metrics }: Surroundings): Promise<DynamicModule> {
    // Started in this order, drained in the opposite one: who appends stops before the appender, the appender before the sequencer, and who signs
    // what was sequenced is last.
    const workers = {
      provide: Workers,
      inject: [
        TRACE_FORWARDING,
        MEMAGENT_FORWARDING,
        Anchors,
        Checkpoints,
        Instance,
        Sequencer,
        Appender,
        FollowWorker,
        RegistryWorker,
        ProbeWorker,
        DiscoveryWorker,
        BreakerEvents,
        LoadSharing,
        Recovery,
        IdleSessions,
        Expiry,
        Compressions,
        SelfCheck,
        RunningTasks,
        Erasures,
        Retention,
      ],
      useFactory: (trace: Forwarding, memagent: Forwarding, ...own: Worker[]) =>
        new Workers([...own, ...trace.workers, ...memagent.workers, ...housekeepingOf(ledger)]),
    };
    const [summarizer, classifier, verifier] = await Promise.all([summarizerOf(config), classifierOf(config), verifierFor(config)]);
    return {
      module: AppModule,
      global: true,
      exports: [Recall, Synthesizer],
      imports: [
        CqrsModule.forRoot(),
        KernelModule.with(log, metrics),
        LedgerModule.on(ledger.db, owner, { idempotencyHours: config.IDEMPOTENCY_HOURS, tree: config.CHECKPOINT_INTERVAL_MS > 0 }),
        CheckpointModule.with(config),
        AnchorsModule.with(config),
        AgentRegistryModule.with(config, log),
        ContractManagerModule.with(config),
        IntegrationModule.with({
          agentsFile: config.AGENTS_FILE,
          networks: config.AGENT_NETWORKS,
          credentials: await readCredentials(config.AGENT_CREDENTIALS_FILE),
          log: (message) => log.warn({}, message),
        }),
        MemoryModule.with(summarizer, config.MEMAGENT_URL !== 'off'),
        RoutingModule.with(config, classifier),
        AuditModule.with(config),
        OrchestrationModule.with(config),
        TraceModule.with(config, log),
        MemAgentModule.with(config),
        EraseModule.with({ retentionDays: config.RETENTION_DAYS, peers: peersOf(config) }),
      ],
      controllers: [
        OrchestrateController,
        TasksController,
        RoutingController,
        ContractsController,
        SessionsController,
        ErasureController,
        MemAgentController,
        MemoryController,
        AgentsController,
        RegistrationController,
        HealthController,
        StatusController,
        TraceController,
        VerifyController,
        ExportController,
        ReplayController,
        MetricsController,
        LogController,
        // Before the tiles, whose path would take theirs.
        ...entriesControllers(config),
        TilesController,
      ],
      providers: [
        workers,
        // Orchestration and memory stand side by side and do not know each other: here the one's ports meet what the other has.
        { provide: Recall, inject: [Blocks], useFactory: (blocks: Blocks): Recall => blocks },
        { provide: Synthesizer, useFactory: (): Synthesizer => new PlanSynthesis(summarizer.model) },
        AgentItems,
        ApplyViewsHandler,
        { provide: API_SETTINGS, useValue: config },
        { provide: APP_GUARD, inject: [Reflector], useFactory: (reflector: Reflector) => new AuthGuard(reflector, verifier) },
        { provide: ProblemFilter, useFactory: () => new ProblemFilter(log) },
      ],
    };
  }
}

/** The followers whose peers hold copies. */
function peersOf({ TRACE_URL = 'off', MEMAGENT_URL }: Config): string[] {
  return [...(TRACE_URL === 'off' ? [] : [TRACE]), ...(MEMAGENT_URL === 'off' ? [] : [MEMAGENT])];
}

// What few need is loaded where it is: the SDK of the language model takes a tenth of the time in which all else starts.

async function verifierFor(config: Config): Promise<JwtVerifier | null> {
  const checks = tokenChecks(config);
  return checks && new (await import('./integration/tokens/jwt.client.js')).JwtVerifier(checks);
}

/** null: no language model is asked for anything. */
function messagesOf(config: Config): MessagesSettings | null {
  const { ANTHROPIC_API_KEY: apiKey, ANTHROPIC_BASE_URL: baseUrl, ANTHROPIC_MAX_RETRIES: maxRetries } = config;
  return apiKey === undefined ? null : { apiKey, baseUrl, maxRetries, timeoutMs: Math.round(config.ANTHROPIC_TIMEOUT_SECONDS * 1000) };
}

async function summarizerOf(config: Config): Promise<Summarizer> {
  const [api, prices] = [messagesOf(config), pricesOf(config)];
  if (!api) return { model: null, prices };
  const { AnthropicModel } = await import('./integration/llm/anthropic.client.js');
  const { ANTHROPIC_MODEL: model, ANTHROPIC_MAX_INPUT_TOKENS: maxInput, ANTHROPIC_MAX_OUTPUT_TOKENS: maxOutput } = config;
  return { model: new AnthropicModel({ ...api, model, maxInput, maxOutput }), prices };
}

async function classifierOf(config: Config): Promise<AnthropicClassifier | null> {
  const api = messagesOf(config);
  if (!api) return null;
  const { AnthropicClassifier } = await import('./integration/llm/anthropic-classifier.client.js');
  return new AnthropicClassifier({ ...api, model: config.ROUTING_MODEL ?? config.ANTHROPIC_MODEL });
}

/** A server checkpoints and vacuums by itself. */
function housekeepingOf({ db, embedded }: OpenLedger): Worker[] {
  return embedded ? [new EmbeddedHousekeeping((sql) => db.query(sql))] : [];
}
