import { type DynamicModule, Module } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { ReplayHandler, RetryParkedHandler } from '../../audit/forwarding.commands.js';
import { AuditTraceHandler, TraceCopy } from '../../audit/trace-audit.queries.js';
import type { Log } from '../../kernel/log.system.js';
import { busyLoop } from '../../kernel/pressure.system.js';
import type { Worker } from '../../kernel/worker.js';
import { Database } from '../../ledger/database.postgres.js';
import { FORWARD_DEFAULTS, ForwardWorker } from '../../ledger/forward.worker.js';
import { Instance } from '../../ledger/instance.worker.js';
import { LedgerAdvanced } from '../../ledger/ledger.module.js';
import { Calls } from '../../orchestration/calls.system.js';
import { OrchestrationModule } from '../../orchestration/orchestration.module.js';
import { TraceClient } from './trace.client.js';
import { TraceForwarder } from './trace.follower.js';
import type { TraceSettings } from './trace.settings.js';
import { NoTrace, TraceReadBack } from './trace-copy.client.js';

/** What forwards to Trace; without a worker while that is off. */
export class TraceForwarding {
  constructor(private readonly worker: (Worker & { kick(): void }) | null) {}

  get workers(): Worker[] {
    return this.worker ? [this.worker] : [];
  }

  kick(): void {
    this.worker?.kick();
  }
}

@EventsHandler(LedgerAdvanced)
export class WakeTrace implements IEventHandler<LedgerAdvanced> {
  constructor(private readonly forwarding: TraceForwarding) {}

  handle(): void {
    this.forwarding.kick();
  }
}

@Module({})
export class TraceModule {
  static with(settings: TraceSettings, log: Log): DynamicModule {
    const { TRACE_URL: url = 'off' } = settings;
    const client = url === 'off' ? null : clientOf(url, settings);
    const forwarding = {
      provide: TraceForwarding,
      inject: [Database, Instance, Calls],
      useFactory: (db: Database, { owner }: Instance, calls: Calls) => {
        if (!client) return new TraceForwarding(null);
        const busy = busyLoop();
        return new TraceForwarding(
          new ForwardWorker(db, new TraceForwarder(client, log), owner, {
            ...FORWARD_DEFAULTS,
            begin: 'next', // what happened before leaves the house only when somebody asks for a replay
            tries: settings.TRACE_TRIES,
            pauseMs: { ...FORWARD_DEFAULTS.pauseMs, most: settings.TRACE_PAUSE_SECONDS * 1000 },
            pressed: () => calls.count > 0 && busy(),
          }),
        );
      },
    };
    const copy = { provide: TraceCopy, useFactory: () => (client ? new TraceReadBack(client) : new NoTrace()) };
    return {
      module: TraceModule,
      imports: [OrchestrationModule],
      providers: [forwarding, copy, WakeTrace, AuditTraceHandler, RetryParkedHandler, ReplayHandler],
      exports: [TraceForwarding],
    };
  }
}

const clientOf = (url: string, { TRACE_TIMEOUT_SECONDS, TRACE_PAUSE_SECONDS }: TraceSettings) =>
  new TraceClient({ url, timeoutMs: TRACE_TIMEOUT_SECONDS * 1000, longestPauseMs: TRACE_PAUSE_SECONDS * 1000 });
