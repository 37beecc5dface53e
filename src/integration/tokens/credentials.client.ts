/**
 * What agents want to see of whoever calls them: bearer tokens, given by the operator or fetched from an OAuth 2.0 token endpoint (client
 * credentials) and kept until shortly before they expire. Each goes to the address the operator named it for, and nowhere else: what an agent
 * says of itself never chooses a token.
 */
import axios from 'axios';
import { z } from 'zod';
import { OrchestratorError } from '../../kernel/errors.js';
import { parseJson } from '../../kernel/json.js';

export type CredentialEntry = { readonly at: string } & ({ readonly token: string } | ClientCredentials);

export interface ClientCredentials {
  readonly token_url: string;
  readonly client_id: string;
  readonly client_secret: string;
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
  /** How the endpoint learns who asks: in the authorization header (RFC 6749), or in the body, for those that read nothing else. */
  readonly client_auth: 'basic' | 'body';
}

export interface Credential {
  /** The header's value. Rejects with `agent_unreachable` where no token can be had: the agent was not asked. */
  authorization(): Promise<string>;
  /** It was answered 401: a token that was kept is fetched anew for the next request. */
  refused(authorization: string): void;
}

const FETCH_MS = 10_000;
const MAX_BYTES = 64 * 1024;
/** Of a token whose endpoint does not say how long it is good. */
const UNTOLD_SECONDS = 300;
/** A token is not used in its last minute, or its last quarter if that is shorter: it has a way to go. */
const SPARE_SECONDS = 60;

export class Credentials {
  static readonly none = new Credentials([]);
  private readonly places: readonly { readonly origin: string; readonly path: string; readonly credential: Credential }[];

  constructor(entries: readonly CredentialEntry[], now: () => number = Date.now) {
    this.places = entries
      .map(({ at, ...entry }) => {
        const { origin, pathname } = new URL(at);
        const credential = 'token' in entry ? given(entry.token) : new FetchedToken(at, entry, now);
        return { origin, path: pathname.replace(/\/+$/, ''), credential };
      })
      .sort((a, b) => b.path.length - a.path.length);
  }

  /** That of the longest address the URL is at or below. */
  for(url: string | URL): Credential | undefined {
    if (this.places.length === 0) return undefined;
    const { origin, pathname } = new URL(url);
    const isBelow = ({ origin: its, path }: { origin: string; path: string }) =>
      origin === its && (pathname === path || pathname.startsWith(`${path}/`));
    return this.places.find(isBelow)?.credential;
  }
}

const given = (token: string): Credential => ({ authorization: async () => `Bearer ${token}`, refused: () => undefined });

const Granted = z.object({
  access_token: z.string().regex(/^[\x21-\x7e]+$/),
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
  expires_in: z.coerce.number().min(0).optional(),
});
/** RFC 6749 section 5.2; only the code is told on, the description is free text. */
const Denied = z.object({ error: z.string().regex(/^[\x20-\x7e]{1,100}$/) });

class FetchedToken implements Credential {
  private kept: { readonly authorization: string; readonly until: number } | null = null;
  /** Those who need a token while one is fetched share it. */
  private fetching: Promise<string> | null = null;

  constructor(
    private readonly at: string,
    private readonly client: ClientCredentials,
    private readonly now: () => number,
  ) {}

  async authorization(): Promise<string> {
    if (this.kept && this.now() < this.kept.until) return this.kept.authorization;
    this.fetching ??= this.fetch().finally(() => {
      this.fetching = null;
    });
    return this.fetching;
  }

  refused(authorization: string): void {
    if (this.kept?.authorization === authorization) this.kept = null;
  }

  private async fetch(): Promise<string> {
    const asked = this.now();
    const { status, text } = await this.ask();
    const granted = status === 200 ? Granted.safeParse(jsonOf(text)).data : undefined;
    if (!granted) throw this.unavailable(`answered HTTP ${status} ${Denied.safeParse(jsonOf(text)).data?.error ?? ''}`.trimEnd());
    const { access_token, expires_in: seconds = UNTOLD_SECONDS } = granted;
    const authorization = `Bearer ${access_token}`;
    this.kept = { authorization, until: asked + (seconds - Math.min(SPARE_SECONDS, seconds / 4)) * 1000 };
    return authorization;
  }

  private async ask(): Promise<{ status: number; text: string }> {
    const { token_url, client_id, client_secret, scope, audience, client_auth } = this.client;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      ...(scope !== undefined && { scope }),
      ...(audience !== undefined && { audience }),
      ...(client_auth === 'body' && { client_id, client_secret }),
    });
    const basic = Buffer.from(`${encodeURIComponent(client_id)}:${encodeURIComponent(client_secret)}`).toString('base64');
    try {
      const { status, data } = await axios.post<string>(token_url, form.toString(), {
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          accept: 'application/json',
          ...(client_auth === 'basic' && { authorization: `Basic ${basic}` }),
        },
        timeout: FETCH_MS,
        signal: AbortSignal.timeout(FETCH_MS),
        maxContentLength: MAX_BYTES,
        maxRedirects: 0,
        responseType: 'text',
        transformResponse: (text: string) => text,
        validateStatus: () => true,
      });
      return { status, text: data };
    } catch (error) {
      const { code, message } = error as { code?: string; message: string };
      throw this.unavailable(`does not answer: ${message || code}`);
    }
  }

  /** The agent was not reached, as if its name could not be resolved: `syscall` says so to whoever tries again. */
  private unavailable(why: string): OrchestratorError {
    const what = `there is no token for ${this.at}: ${this.client.token_url} ${why}`;
    return new OrchestratorError('agent_unreachable', what, { cause: Object.assign(new Error(what), { syscall: 'authorization' }) });
  }
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
