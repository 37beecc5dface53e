import { type DynamicModule, Module } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { Database } from '../ledger/database.postgres.js';
import { Instance } from '../ledger/instance.worker.js';
import { Conditions } from '../routing/conditions.js';
import { Attempts } from './attempts.system.js';
import { BreakerEvents } from './breaker-events.worker.js';
import { Calls } from './calls.system.js';
import { CancelTaskHandler, TaskCancelledHandler } from './cancel-task.commands.js';
import { Carrier } from './carrier.system.js';
import { Guards } from './guards.system.js';
import { OrchestrateHandler, SessionCancelledHandler } from './orchestrate.commands.js';
import { ORCHESTRATION_SETTINGS, type OrchestrationSettings } from './orchestration.settings.js';
import { Plans } from './plans.system.js';
import { RunningTasks } from './running-tasks.worker.js';
import { TaskContext } from './task-context.postgres.js';
import { GetTaskHandler } from './tasks.queries.js';
import { Waits } from './waits.system.js';

@Module({})
export class OrchestrationModule {
  static with(settings: OrchestrationSettings): DynamicModule {
    const events = {
      provide: BreakerEvents,
      inject: [CommandBus, Instance],
      useFactory: (commands: CommandBus, instance: Instance) => new BreakerEvents(commands, instance.owner),
    };
    const guards = {
      provide: Guards,
      inject: [BreakerEvents],
      useFactory: (told: BreakerEvents) => new Guards(settings, (...change) => told.tell(...change)),
    };
    const tasks = { provide: RunningTasks, inject: [Database], useFactory: (db: Database) => new RunningTasks(db) };
    const own = [
      tasks,
      { provide: ORCHESTRATION_SETTINGS, useValue: settings },
      events,
      guards,
      { provide: Conditions, useExisting: Guards },
    ];
    return {
      module: OrchestrationModule,
      global: true,
      providers: [
        ...own,
        Waits,
        Calls,
        Attempts,
        Carrier,
        Plans,
        TaskContext,
        OrchestrateHandler,
        SessionCancelledHandler,
        CancelTaskHandler,
        TaskCancelledHandler,
        GetTaskHandler,
      ],
      exports: [Calls, Guards, Conditions, BreakerEvents, RunningTasks],
    };
  }
}
