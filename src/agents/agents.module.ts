import { type DynamicModule, Module } from '@nestjs/common';
import { CommandBus, EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import type { Log } from '../kernel/log.system.js';
import { Appender } from '../ledger/append.worker.js';
import { Database } from '../ledger/database.postgres.js';
import { LedgerAdvanced } from '../ledger/ledger.module.js';
import { GetAgentThenHandler } from './agent-history.queries.js';
import { AgentProtocols } from './agent-protocols.js';
import {
  ConfigureAgentHandler,
  HeartbeatHandler,
  RegisterAgentHandler,
  RetireAgentHandler,
  SwitchAgentHandler,
} from './agents.commands.js';
import { AgentStreams } from './agents.postgres.js';
import type { AgentsSettings } from './agents.settings.js';
import { NoteBreakerHandler } from './breaker.commands.js';
import { CallSignals } from './call-signals.system.js';
import { AgentRegistry } from './directory.js';
import { DiscoveryWorker } from './discovery.worker.js';
import { ProbeWorker } from './probe.worker.js';
import { RefreshAgentsHandler } from './refresh.commands.js';
import { RegisterAddressHandler, RegisterDescribedHandler } from './register-address.commands.js';
import { RegistryWorker } from './registry.worker.js';

@EventsHandler(LedgerAdvanced)
export class WakeRegistry implements IEventHandler<LedgerAdvanced> {
  constructor(private readonly registry: RegistryWorker) {}

  handle(): void {
    this.registry.kick();
  }
}

@Module({})
export class AgentRegistryModule {
  static with(settings: AgentsSettings, log: Log): DynamicModule {
    const streams = {
      provide: AgentStreams,
      inject: [Database, Appender],
      useFactory: (db: Database, appender: Appender) => new AgentStreams(db, appender),
    };
    const signals = {
      provide: CallSignals,
      inject: [Database, AgentRegistry],
      useFactory: (db: Database, registry: AgentRegistry) => new CallSignals(db, registry),
    };
    const reader = {
      provide: RegistryWorker,
      inject: [Database, AgentRegistry, AgentProtocols, CallSignals],
      useFactory: (db: Database, registry: AgentRegistry, protocols: AgentProtocols, calls: CallSignals) =>
        new RegistryWorker(db, registry, protocols, calls),
    };
    const probes = {
      provide: ProbeWorker,
      inject: [Database, AgentRegistry, AgentStreams, RegistryWorker],
      useFactory: (db: Database, registry: AgentRegistry, written: AgentStreams, read: RegistryWorker) =>
        new ProbeWorker(db, registry, { streams: written, registry: read }, { intervalSeconds: settings.PROBE_INTERVAL_SECONDS }),
    };
    const discovery = {
      provide: DiscoveryWorker,
      inject: [Database, AgentRegistry, AgentProtocols, CommandBus],
      useFactory: (db: Database, registry: AgentRegistry, protocols: AgentProtocols, commands: CommandBus) =>
        new DiscoveryWorker(db, registry, { protocols, commands, log, intervalSeconds: settings.DISCOVERY_INTERVAL_SECONDS }),
    };
    const own = [streams, signals, reader, probes, discovery];
    const commands = [ConfigureAgentHandler, RegisterAgentHandler, RetireAgentHandler, SwitchAgentHandler, HeartbeatHandler];
    const handlers = [
      ...commands,
      RegisterDescribedHandler,
      RegisterAddressHandler,
      RefreshAgentsHandler,
      GetAgentThenHandler,
      NoteBreakerHandler,
      WakeRegistry,
    ];
    return {
      module: AgentRegistryModule,
      global: true,
      providers: [AgentRegistry, ...own, ...handlers],
      exports: [AgentRegistry, ...own.map((provider) => provider.provide)],
    };
  }
}
