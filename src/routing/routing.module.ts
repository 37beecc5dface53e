import { type DynamicModule, Module } from '@nestjs/common';
import { CallSignals } from '../agents/call-signals.system.js';
import { AgentRegistry } from '../agents/directory.js';
import { Database } from '../ledger/database.postgres.js';
import { Instance } from '../ledger/instance.worker.js';
import { Balancer } from './balancer.system.js';
import type { Classifier } from './classifier.js';
import { Conditions } from './conditions.js';
import { LoadSharing } from './load.worker.js';
import { Meanings } from './meanings.js';
import { meaningsIn } from './meanings-file.system.js';
import { SessionTurns } from './recent-turns.postgres.js';
import { Router } from './router.system.js';
import type { RoutingSettings } from './routing.settings.js';
import { Rules } from './rules.js';
import { readRules } from './rules-file.system.js';

/** Chooses agents. `Conditions` is for the dispatcher to provide. */
@Module({})
export class RoutingModule {
  static with(settings: RoutingSettings, model: Classifier | null): DynamicModule {
    const { BALANCING: balancing } = settings;
    const rules = { provide: Rules, useFactory: () => readRules(settings.ROUTING_FILE) };
    const meanings = { provide: Meanings, useFactory: () => meaningsIn() };
    const load = {
      provide: LoadSharing,
      inject: [Database, Instance, AgentRegistry, Conditions],
      useFactory: (db: Database, { owner }: Instance, registry: AgentRegistry, conditions: Conditions) => {
        const agents = () => registry.all().map(({ description }) => description.agent_id);
        return new LoadSharing(db, { owner, agents, conditions }, balancing === 'least_connections' || balancing === 'score');
      },
    };
    const balancer = {
      provide: Balancer,
      inject: [Conditions, CallSignals, LoadSharing],
      useFactory: (conditions: Conditions, calls: CallSignals, sharing: LoadSharing) =>
        new Balancer(balancing, settings.BALANCING_SCOPE, { conditions, calls, load: sharing }),
    };
    const router = {
      provide: Router,
      inject: [AgentRegistry, Conditions, Balancer, SessionTurns, Rules, Meanings],
      useFactory: (
        registry: AgentRegistry,
        conditions: Conditions,
        ...[balance, turns, file, meant]: [Balancer, SessionTurns, Rules, Meanings]
      ) => new Router(registry, { conditions, balancer: balance, turns, rules: file, meanings: meant, model }, routerSettings(settings)),
    };
    return {
      module: RoutingModule,
      global: true,
      providers: [rules, meanings, load, balancer, SessionTurns, router],
      exports: [Router, LoadSharing],
    };
  }
}

const routerSettings = (settings: RoutingSettings) => ({
  strategy: settings.ROUTING_STRATEGY,
  threshold: settings.ROUTING_CONFIDENCE,
  shown: settings.ROUTING_CANDIDATES,
  timeoutMs: Math.round(settings.ROUTING_TIMEOUT_SECONDS * 1000),
});
