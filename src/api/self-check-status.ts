import type { z } from 'zod';
import type { SelfCheckRow } from '../audit/self-check.js';
import type { SelfCheckStatus } from './status.schema.js';

/** What the worker of that name knows. */
export function selfCheckStatus(workers: Readonly<Record<string, Record<string, unknown>>>): z.output<typeof SelfCheckStatus> {
  const worker = workers['self-check'] as unknown as {
    interval_seconds: number | null;
    sound: boolean;
    running: { done: number; total: number } | null;
    last: SelfCheckRow | null;
    last_error: string | null;
  };
  const { verdict = null, finished_at = null } = worker.last ?? {};
  return {
    status: verdict?.verdict ?? (worker.interval_seconds === null ? 'off' : 'waiting'),
    sound: worker.sound,
    finished_at,
    ...(verdict && { events: verdict.events, found: verdict.found, anchored: verdict.anchored }),
    ...(verdict?.first && { first: `${verdict.first.check}: ${verdict.first.what}` }),
    running: worker.running,
    error: worker.last_error,
  };
}
