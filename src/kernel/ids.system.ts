/** Chance and clock, for those who may not touch them. */
import { randomFillSync } from 'node:crypto';
import { monotonicFactory } from 'ulid';

let told = { at: Number.NaN, text: '' };

/** Time as the record knows it: ISO 8601, UTC, milliseconds. To write it costs more than all else about it, so a millisecond is written once. */
export function now(): string {
  const at = Date.now();
  if (at !== told.at) told = { at, text: new Date(at).toISOString() };
  return told.text;
}

/** Random bytes come from a pool: asking the system for 16 costs as much as for 4096. Each is used once and wiped. */
const pool = Buffer.alloc(4096);
let used = pool.length;

function draw<T>(bytes: number, take: (from: number, to: number) => T): T {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const taken = take(used, used + bytes);
  for (const end = used + bytes; used < end; used++) pool[used] = 0;
  return taken;
}

/** 128 random bits, base64url: the salt of one disclosure. */
export const newSalt = (): string => draw(16, (from, to) => pool.toString('base64url', from, to));

/** 32 hex digits. */
export const newTraceId = (): string => draw(16, (from, to) => pool.toString('hex', from, to));

/** 16 hex digits. */
export const newSpanId = (): string => draw(8, (from, to) => pool.toString('hex', from, to));

/** Random bits from end to end: the nonce of one sealed value. */
export function newNonce(bytes: number): Buffer {
  const nonce = Buffer.allocUnsafe(bytes);
  draw(bytes, (from, to) => pool.copy(nonce, 0, from, to));
  return nonce;
}

/** ULIDs of one process sort in the order they were made. ulid by itself asks the system for every character. */
export const newId: () => string = monotonicFactory(() => draw(1, (from) => pool[from]!) / 256);
