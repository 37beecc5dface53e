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

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Where keys and tokens come from: over plain HTTP they could be anybody's. */
export function trustworthyUrl() {
  return z.url('must be a URL').refine((text) => {
    const url = URL.parse(text);
    return url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.includes(url.hostname));
  }, 'must be an https URL (http only on this machine)');
}
