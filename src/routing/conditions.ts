/** What the dispatcher knows of an agent from its own calls. It never stands in the registry: a decision records what it saw of it. */
export interface Condition {
  readonly breaker: 'closed' | 'open' | 'half_open';
  /** Calls of this process that are under way. */
  readonly running: number;
  /** No further call is taken: its bulkhead and its queue are full. */
  readonly full: boolean;
}

/** Asked for each candidate of each decision: answers from memory. */
export abstract class Conditions {
  /** With `record`, that of the description in force: what was known under an older one counts no more. */
  abstract of(agentId: string, record?: string): Condition;
}
