import { z } from 'zod';
import { numberBetween, wholeNumber } from '../kernel/setting.js';

export const OrchestrationSettings = z.object({
  /** Tasks one process works on at a time, those that wait for an agent not counted. More are refused at once. */
  MAX_CONCURRENT_REQUESTS: wholeNumber(1, 100_000).default(100),
  /** How often a task is tried where that is safe, the first time included. */
  TASK_ATTEMPTS: wholeNumber(1, 10).default(3),
  /** Tasks that may wait for an agent that has as many calls as it takes, or is stopped. */
  AGENT_QUEUE: wholeNumber(0, 100_000).default(100),
  /** So many failures in a row, and an agent is not called for a while. */
  BREAKER_FAILURES: wholeNumber(1, 1000).default(5),
  /** The same for this share of failures among the latest BREAKER_WINDOW calls. */
  BREAKER_SHARE: numberBetween(0.01, 1).default(0.5),
  BREAKER_WINDOW: wholeNumber(2, 1000).default(20),
  /** After this long one call tries whether it is back. */
  BREAKER_PAUSE_SECONDS: numberBetween(0.01, 86_400).default(60),
  /** A call that was given less time than this, and ran out of it, says nothing about the agent. */
  BREAKER_PATIENCE_SECONDS: numberBetween(0, 600).default(1),
});

export type OrchestrationSettings = z.output<typeof OrchestrationSettings>;

export const ORCHESTRATION_SETTINGS = Symbol('orchestration settings');
