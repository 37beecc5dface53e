import { z } from 'zod';
import type { TokenChecks } from '../kernel/principal.js';
import { flag, trustworthyUrl } from '../kernel/setting.js';

export const AuthSettings = z.object({
  /** Whether every request must carry a bearer token. */
  REQUIRE_AUTH: flag().default(false),
  /** Secret shared with whoever signs the tokens (HS256). */
  JWT_SECRET: z
    .string()
    .refine((secret) => Buffer.byteLength(secret) >= 32, 'must have at least 32 bytes; make one with: openssl rand -base64 48')
    .optional(),
  /** What `iss` must be. Without JWT_SECRET the keys are found through it (OpenID Connect or OAuth metadata). */
  JWT_ISSUER: z.string().min(1).optional(),
  /** What `aud` must name. */
  JWT_AUDIENCE: z.string().min(1).optional(),
  /** Where the issuer's keys are, for an issuer without metadata. */
  JWT_JWKS_URL: trustworthyUrl().optional(),
});

export type AuthSettings = z.output<typeof AuthSettings>;

/** null: authentication is off. Throws a text that says what is missing. */
export function tokenChecks(settings: AuthSettings): TokenChecks | null {
  const { REQUIRE_AUTH, JWT_SECRET: secret, JWT_ISSUER: issuer, JWT_AUDIENCE: audience, JWT_JWKS_URL: jwks } = settings;
  if (!REQUIRE_AUTH) return null;
  if (secret !== undefined && jwks !== undefined)
    throw new Error('set JWT_SECRET or JWT_JWKS_URL, not both: a token is checked in one way');
  if (secret !== undefined) return { secret, issuer, audience };
  if (issuer === undefined || audience === undefined)
    throw new Error('REQUIRE_AUTH=true needs JWT_SECRET, or JWT_ISSUER and JWT_AUDIENCE, to check tokens with');
  if (jwks === undefined && !trustworthyUrl().safeParse(issuer).success)
    throw new Error(
      `JWT_ISSUER=${issuer} must be an https URL (http only on this machine) so that its keys can be found, or set JWT_JWKS_URL`,
    );
  return { issuer, audience, jwks };
}
