import type { Trace } from './trace.js';

/** On whose behalf something is asked. */
export interface Caller {
  readonly tenant: string;
  /** Subject of the caller's token; null while authentication is off. */
  readonly principal: string | null;
  /** The trace the request belongs to. Over HTTP there always is one: the edge starts it where the caller has none. */
  readonly trace: Trace | null;
}

export const SCOPES = ['orchestrate', 'contracts:read', 'agents:write', 'audit', 'erase'] as const;
/** What a token lets its bearer do. */
export type Scope = (typeof SCOPES)[number];

/** Who a token speaks for, and what it lets him do. */
export interface Identity {
  readonly tenant: string;
  readonly principal: string;
  readonly scopes: ReadonlySet<string>;
}

/** How a token is checked: by a shared secret, or by the keys its issuer publishes (at `jwks`, else where his metadata says). */
export type TokenChecks =
  | { readonly secret: string; readonly issuer?: string | undefined; readonly audience?: string | undefined }
  | { readonly issuer: string; readonly audience: string; readonly jwks?: string | undefined };

/**
 * Turns a bearer token into an identity. Throws `unauthorized` for whatever is wrong with the token, saying what, and `issuer_unavailable`
 * when the keys to check it with cannot be had; never lets a token pass unchecked.
 */
export abstract class TokenVerifier {
  abstract verify(token: string): Promise<Identity>;
}

/** Tenants are named by the operator; the name is part of records that can never be erased. */
export const TENANT = /^[a-z0-9][a-z0-9._-]{0,63}$/;
