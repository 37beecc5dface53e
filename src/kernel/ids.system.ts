/** Chance and clock, for those who may not touch them. */
import { randomBytes } from 'node:crypto';
import { monotonicFactory } from 'ulid';

/** ULIDs of one process sort in the order they were made. */
export const newId: () => string = monotonicFactory();

/** Time as the record knows it: ISO 8601, UTC, milliseconds. */
export const now = (): string => new Date().toISOString();

/** 128 random bits, base64url: the salt of one disclosure. */
export const newSalt = (): string => randomBytes(16).toString('base64url');
