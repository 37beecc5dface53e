/** What is kept of the ledger's verifying itself. */
import type { Verdict } from './verify-verdict.js';

/** The part of a verdict that is kept: enough to raise an alarm, and to know where to look. */
export type KeptVerdict = Pick<Verdict, 'verdict' | 'anchored' | 'events' | 'found' | 'first'>;

export interface SelfCheckRow {
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly verdict: KeptVerdict | null;
  readonly error: string | null;
}
