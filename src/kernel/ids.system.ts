/** Chance and clock, for those who may not touch them. */
import { randomBytes } from 'node:crypto';
import { monotonicFactory } from 'ulid';

/** ULIDs of one process sort in the order they were made. */
export const newId: () => string = monotonicFactory();

/** Time as the record knows it: ISO 8601, UTC, milliseconds. */
export const now = (): string => new Date().toISOString();

const SALT_BYTES = 16;
let pool = Buffer.alloc(0);
let used = 0;

/** 128 random bits, base64url: the salt of one disclosure. Drawn from a pool: asking the system for 16 bytes costs as much as for 4096. */
export function newSalt(): string {
  if (used === pool.length) {
    pool = randomBytes(256 * SALT_BYTES);
    used = 0;
  }
  const salt = pool.toString('base64url', used, used + SALT_BYTES);
  pool.fill(0, used, used + SALT_BYTES);
  used += SALT_BYTES;
  return salt;
}
