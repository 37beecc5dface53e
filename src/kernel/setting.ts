/** Kinds of settings whose message says what is allowed. */
import { z } from 'zod';

export function wholeNumber(min: number, max: number) {
  const allowed = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number(allowed).int(allowed).min(min, allowed).max(max, allowed);
}

export function numberBetween(min: number, max: number) {
  const allowed = `must be a number from ${min} to ${max}`;
  return z.coerce.number(allowed).min(min, allowed).max(max, allowed);
}

export function flag() {
  return z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');
}
