import { z } from 'zod';
import { numberBetween, wholeNumber } from '../kernel/setting.js';
import { BALANCING } from './balance.js';
import { STRATEGIES } from './decision.js';

const oneOf = <T extends string>(values: readonly [T, ...T[]]) => z.enum(values, `must be one of ${values.join(', ')}`);

export const RoutingSettings = z.object({
  /** hybrid: a language model is asked only where rules and words are not sure. */
  ROUTING_STRATEGY: oneOf(STRATEGIES).default('hybrid'),
  /** How sure a rung must be to decide. */
  ROUTING_CONFIDENCE: numberBetween(0, 1).default(0.7),
  /** Unset: ./data/routing.json, if it is there. */
  ROUTING_FILE: z.string().min(1).optional(),
  /** Unset: ANTHROPIC_MODEL. */
  ROUTING_MODEL: z.string().min(1).max(200).optional(),
  /** Candidates the model is shown at most. */
  ROUTING_CANDIDATES: wholeNumber(1, 200).default(20),
  /** All attempts to ask the model together. */
  ROUTING_TIMEOUT_SECONDS: numberBetween(0.1, 120).default(10),
  BALANCING: oneOf(BALANCING).default('weighted_round_robin'),
  /** Whether turns are counted for each capability by itself or for all together. */
  BALANCING_SCOPE: oneOf(['capability', 'global'] as const).default('capability'),
});
export type RoutingSettings = z.output<typeof RoutingSettings>;
