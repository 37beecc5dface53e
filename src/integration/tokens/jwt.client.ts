/**
 * Checks bearer tokens: JWTs signed with a shared secret, or with the keys their issuer publishes. Those are fetched at the first token,
 * kept for ten minutes, and fetched again, at most every 30 s, when a token names a key that is not among them.
 */
import axios from 'axios';
import { createRemoteJWKSet, customFetch, errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { z } from 'zod';
import { OrchestratorError } from '../../kernel/errors.js';
import { type Identity, TENANT, type TokenChecks, TokenVerifier } from '../../kernel/principal.js';

const FETCH_MS = 5000;
const MAX_BYTES = 512 * 1024;
const KEYS_KEPT_MS = 10 * 60_000;
/** Clocks of two machines are never equal. */
const TOLERANCE_SECONDS = 5;
/** Only what needs a private key: accepting HS256 beside them would let the public key sign. */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
const METADATA = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'];

const Claims = z.object({
  sub: z.string('has no sub').min(1, 'has an empty sub').max(255, 'has a sub of more than 255 characters'),
  tenant: z.string('has a tenant that is not text').regex(TENANT, 'has a tenant that is not 1-64 of a-z 0-9 . _ -').default('default'),
  scope: z.string('has a scope that is not text').optional(),
  scp: z.union([z.string(), z.array(z.string())], 'has a scp that is neither text nor a list').optional(),
});
const Metadata = z.object({ issuer: z.string(), jwks_uri: z.url() });

export class JwtVerifier extends TokenVerifier {
  private readonly options: JWTVerifyOptions;
  private readonly secret: Uint8Array | null;
  private keys: Promise<JWTVerifyGetKey> | null = null;

  constructor(private readonly checks: TokenChecks) {
    super();
    this.secret = 'secret' in checks ? new TextEncoder().encode(checks.secret) : null;
    this.options = {
      algorithms: this.secret ? ['HS256'] : ASYMMETRIC,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: TOLERANCE_SECONDS,
      ...(checks.issuer !== undefined && { issuer: checks.issuer }),
      ...(checks.audience !== undefined && { audience: checks.audience }),
    };
  }

  async verify(token: string): Promise<Identity> {
    const claims = Claims.safeParse(await this.payloadOf(token));
    if (!claims.success) throw refuse(claims.error.issues.map((issue) => issue.message).join(', it '));
    const { sub, tenant, scope, scp } = claims.data;
    const scopes = [scope, scp].flatMap((words) => (typeof words === 'string' ? words.split(' ') : (words ?? [])));
    return { tenant, principal: sub, scopes: new Set(scopes) };
  }

  private async payloadOf(token: string): Promise<JWTPayload> {
    try {
      if (this.secret) return (await jwtVerify(token, this.secret, this.options)).payload;
      return (await jwtVerify(token, await this.issuerKeys(), this.options)).payload;
    } catch (error) {
      throw error instanceof OrchestratorError ? error : (whyNot(error) ?? unavailable(this.checks.issuer!, error));
    }
  }

  /** A failure is not kept: the next token asks again. */
  private async issuerKeys(): Promise<JWTVerifyGetKey> {
    this.keys ??= this.find();
    try {
      return await this.keys;
    } catch (error) {
      this.keys = null;
      throw error;
    }
  }

  private async find(): Promise<JWTVerifyGetKey> {
    const { issuer, jwks } = this.checks as { issuer: string; jwks?: string };
    const place = jwks ?? (await jwksUriOf(issuer));
    return createRemoteJWKSet(new URL(place), {
      cacheMaxAge: KEYS_KEPT_MS,
      timeoutDuration: FETCH_MS,
      [customFetch]: async (url) => Response.json(await getJson(url)),
    });
  }
}

/** RFC 8414 and OpenID Connect Discovery: the issuer's document must name the issuer itself, else anybody could speak for him. */
async function jwksUriOf(issuer: string): Promise<string> {
  const refused: string[] = [];
  for (const path of METADATA) {
    const url = issuer.replace(/\/$/, '') + path;
    try {
      const metadata = Metadata.parse(await getJson(url));
      if (metadata.issuer === issuer) return metadata.jwks_uri;
      refused.push(`${url} speaks for ${metadata.issuer}`);
    } catch (error) {
      refused.push(`${url}: ${error instanceof z.ZodError ? 'no issuer and jwks_uri in it' : (error as Error).message}`);
    }
  }
  throw unavailable(issuer, new Error(refused.join('; ')));
}

async function getJson(url: string): Promise<unknown> {
  const options = { timeout: FETCH_MS, signal: AbortSignal.timeout(FETCH_MS), maxContentLength: MAX_BYTES, maxRedirects: 0 };
  return (await axios.get<unknown>(url, { ...options, responseType: 'json' })).data;
}

const refuse = (what: string) => new OrchestratorError('unauthorized', `the token ${what}`);

const unavailable = (issuer: string, cause: unknown) =>
  new OrchestratorError('issuer_unavailable', `the keys of ${issuer} cannot be had: ${(cause as Error).message}; nothing was recorded`, {
    cause,
    retryAfter: 5,
  });

/** What is wrong with the token in words its sender can act on; null: nothing, the keys are missing. */
function whyNot(error: unknown): OrchestratorError | null {
  if (error instanceof errors.JWTExpired) return refuse('has expired; get a new one');
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.reason === 'missing') return refuse(`has no ${error.claim}`);
    return refuse(error.claim === 'nbf' ? 'is not valid yet' : `is not for us: its ${error.claim} is another than expected`);
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse('has a signature that does not fit');
  if (error instanceof errors.JWKSNoMatchingKey) return refuse('is signed with a key its issuer does not publish');
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse('is signed with an algorithm that is not accepted');
  if (error instanceof errors.JWTInvalid || error instanceof errors.JWSInvalid || error instanceof errors.JWKSMultipleMatchingKeys)
    return refuse('is not a well-formed JWT');
  return null;
}
