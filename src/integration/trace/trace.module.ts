import { type DynamicModule, Module } from '@nestjs/common';
import { ReplayHandler, RetryParkedHandler } from '../../audit/forwarding.commands.js';
import { AuditTraceHandler, TraceCopy } from '../../audit/trace-audit.queries.js';
import type { Log } from '../../kernel/log.system.js';
import { busyLoop } from '../../kernel/pressure.system.js';
import { Database } from '../../ledger/database.postgres.js';
import { Instance } from '../../ledger/instance.worker.js';
import { Forwarding } from '../../ledger/ledger.module.js';
import { Calls } from '../../orchestration/calls.system.js';
import { NoTrace, TraceReadBack } from './trace-copy.client.js';
import { type ForwardingSettings, ForwardingThread, forwardingInPlace, hasThread, traceClient } from './trace-forwarding.system.js';

/** Provides the Forwarding to Trace. */
export const TRACE_FORWARDING = Symbol('Trace forwarding');

@Module({})
export class TraceModule {
  static with(settings: ForwardingSettings, log: Log): DynamicModule {
    const client = traceClient(settings); // of its own: to read back, past the breaker
    const forwarding = {
      provide: TRACE_FORWARDING,
      inject: [Database, Instance, Calls],
      useFactory: (db: Database, { owner }: Instance, calls: Calls) => {
        if (!client) return new Forwarding(null);
        const busy = busyLoop();
        const pressed = () => calls.count > 0 && busy();
        if (hasThread(db)) return new Forwarding(new ForwardingThread(threadSettings(settings), owner, log, pressed));
        return new Forwarding(forwardingInPlace(db, { settings, owner, log, pressed }));
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

/** What goes to another thread is copied: only what it needs, and nothing that cannot be. */
const threadSettings = (all: ForwardingSettings): ForwardingSettings => {
  const { DATABASE_URL, DATA_DIR, MASTER_KEY, MASTER_KEY_FILE, TRACE_URL, TRACE_TIMEOUT_SECONDS, TRACE_TRIES, TRACE_PAUSE_SECONDS } = all;
  return { DATABASE_URL, DATA_DIR, MASTER_KEY, MASTER_KEY_FILE, TRACE_URL, TRACE_TIMEOUT_SECONDS, TRACE_TRIES, TRACE_PAUSE_SECONDS };
};
