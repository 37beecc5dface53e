import { z } from 'zod';
import { numberBetween, wholeNumber } from '../kernel/setting.js';
import type { Prices } from './language-model.js';

const price = () => numberBetween(0, 1_000_000).optional();
/** A user or password in it would stand in the words of every connection that fails, and those are recorded. */
const baseUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .refine((url) => !/[@?#]/.test(url), 'must have no user, password, query and fragment');

export const MemorySettings = z.object({
  /** Unset: no language model is asked; sessions are compressed by extraction. */
  ANTHROPIC_API_KEY: z.string().min(1).optional(),
  ANTHROPIC_BASE_URL: baseUrl.default('https://api.anthropic.com'),
  ANTHROPIC_MODEL: z.string().min(1).max(200).default('claude-sonnet-5-5'),
  /** Larger sessions are summarised in parts. */
  ANTHROPIC_MAX_INPUT_TOKENS: wholeNumber(1000, 10_000_000).default(150_000),
  ANTHROPIC_MAX_OUTPUT_TOKENS: wholeNumber(256, 128_000).default(8192),
  /** Of one attempt. */
  ANTHROPIC_TIMEOUT_SECONDS: numberBetween(0.1, 600).default(120),
  ANTHROPIC_MAX_RETRIES: wholeNumber(0, 10).default(2),
  /** Per million tokens. Unset: costs are not known. */
  ANTHROPIC_PRICE_INPUT: price(),
  ANTHROPIC_PRICE_OUTPUT: price(),
  ANTHROPIC_PRICE_CACHE_WRITE: price(),
  ANTHROPIC_PRICE_CACHE_READ: price(),
});

export type MemorySettings = z.output<typeof MemorySettings>;

export const pricesOf = (settings: MemorySettings): Prices => ({
  input: settings.ANTHROPIC_PRICE_INPUT,
  output: settings.ANTHROPIC_PRICE_OUTPUT,
  cacheWrite: settings.ANTHROPIC_PRICE_CACHE_WRITE,
  cacheRead: settings.ANTHROPIC_PRICE_CACHE_READ,
});
