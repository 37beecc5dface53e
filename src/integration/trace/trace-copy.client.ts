import { z } from 'zod';
import { type CopiedEvent } from '../../audit/trace-audit.js';
import { TraceCopy } from '../../audit/trace-audit.queries.js';
import { OrchestratorError } from '../../kernel/errors.js';
import type { JsonValue } from '../../kernel/json.js';
import type { Tx } from '../../ledger/database.postgres.js';
import type { PlacedEvent } from '../../ledger/read.postgres.js';
import type { TraceClient } from './trace.client.js';
import { jsonOf } from './trace-answer.js';
import { pathSegment, TRACE, traceSession } from './trace-message.js';
import { traceMessages } from './trace-messages.postgres.js';

const Held = z.looseObject({
  events: z.array(z.looseObject({ event_type: z.string(), data: z.record(z.string(), z.custom<JsonValue>()).catch({}) })),
});

/** A session may be long; nobody waits for ever. */
const PATIENCE_MS = 60_000;

export class TraceReadBack extends TraceCopy {
  readonly follower = TRACE;

  constructor(private readonly trace: TraceClient) {
    super();
  }

  async expected(events: readonly PlacedEvent[], tx: Tx): Promise<ReadonlyMap<string, CopiedEvent>> {
    return new Map(Array.from(await traceMessages(events, tx), ([id, { event }]) => [id, event]));
  }

  async held(stream: string, name: string): Promise<CopiedEvent[]> {
    const path = `v1/sessions/${pathSegment(traceSession(stream, name))}/events`;
    const { status, body } = await this.trace.get(path, AbortSignal.timeout(PATIENCE_MS));
    const parsed = status === 200 ? Held.safeParse(jsonOf(body)) : undefined;
    if (parsed?.success) return parsed.data.events;
    const what = parsed ? 'answered with something else than events' : `answered HTTP ${status}`;
    throw new OrchestratorError('integration_unavailable', `Trace at ${this.trace.origin} ${what} when asked for the session`);
  }
}

/** While no Trace is connected. */
export class NoTrace extends TraceCopy {
  readonly follower = TRACE;

  expected(): Promise<ReadonlyMap<string, CopiedEvent>> {
    return Promise.resolve(new Map());
  }

  held(): Promise<CopiedEvent[]> {
    return Promise.reject(new OrchestratorError('integration_off', 'no Trace is connected: set TRACE_URL and start again'));
  }
}
