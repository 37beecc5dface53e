import { type DynamicModule, Module } from '@nestjs/common';
import { ReplayHandler, RetryParkedHandler } from '../../audit/forwarding.commands.js';
import { AuditTraceHandler, TraceCopy } from '../../audit/trace-audit.queries.js';
import type { Log } from '../../kernel/log.system.js';
import { busyLoop } from '../../kernel/pressure.system.js';
import { Database } from '../../ledger/database.postgres.js';
import { FORWARD_DEFAULTS, ForwardWorker } from '../../ledger/forward.worker.js';
import { Instance } from '../../ledger/instance.worker.js';
import { Forwarding } from '../../ledger/ledger.module.js';
import { Calls } from '../../orchestration/calls.system.js';
import { TraceClient } from './trace.client.js';
import { TraceForwarder } from './trace.follower.js';
import type { TraceSettings } from './trace.settings.js';
import { NoTrace, TraceReadBack } from './trace-copy.client.js';

/** Provides the Forwarding to Trace. */
export const TRACE_FORWARDING = Symbol('Trace forwarding');

@Module({})
export class TraceModule {
  static with(settings: TraceSettings, log: Log): DynamicModule {
    const { TRACE_URL: url = 'off' } = settings;
    const client = url === 'off' ? null : clientOf(url, settings);
    const forwarding = {
      provide: TRACE_FORWARDING,
      inject: [Database, Instance, Calls],
      useFactory: (db: Database, { owner }: Instance, calls: Calls) => {
        if (!client) return new Forwarding(null);
        const busy = busyLoop();
        return new Forwarding(
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
      providers: [forwarding, copy, AuditTraceHandler, RetryParkedHandler, ReplayHandler],
      exports: [TRACE_FORWARDING],
    };
  }
}

const clientOf = (url: string, { TRACE_TIMEOUT_SECONDS, TRACE_PAUSE_SECONDS }: TraceSettings) =>
  new TraceClient({ url, timeoutMs: TRACE_TIMEOUT_SECONDS * 1000, longestPauseMs: TRACE_PAUSE_SECONDS * 1000 });
