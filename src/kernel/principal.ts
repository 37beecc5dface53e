import type { Trace } from './trace.js';

/** On whose behalf something is asked. */
export interface Caller {
  readonly tenant: string;
  /** Subject of the caller's token; null while authentication is off. */
  readonly principal: string | null;
  /** The trace the request belongs to. Over HTTP there always is one: the edge starts it where the caller has none. */
  readonly trace: Trace | null;
}
