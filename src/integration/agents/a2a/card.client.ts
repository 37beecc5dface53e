/** Fetches agent cards. */
import type { Stop } from '../../../agents/agent-client.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { type JsonValue, parseJsonBytes } from '../../../kernel/json.js';
import { exchange } from '../exchange.client.js';
import type { Fetch } from '../fetch.client.js';
import { reason } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { type Address, addressOf, type Card, names, notUnderstood, readCard } from './card.js';
import { checkSignatures } from './signature.client.js';

export const MAX_CARD_BYTES = 1024 * 1024;
const MAX_KEYS_BYTES = 64 * 1024;
const WELL_KNOWN = '/.well-known/agent-card.json';
/** Where A2A before 0.3 had it. */
const WELL_KNOWN_BEFORE = '/.well-known/agent.json';

const HEADERS = { accept: 'application/json', 'a2a-version': '1.0' };

export interface FoundCard {
  readonly card: Card;
  readonly bytes: Buffer;
  /** The address the card is under, and where its agent is called. */
  readonly home: string;
  readonly address: Address;
  readonly signature: 'unsigned' | 'valid';
  readonly etag?: string;
}

export class Cards {
  private readonly fetchCard: Fetch;
  private readonly fetchKeys: Fetch;

  constructor(private readonly outgoing: Outgoing) {
    this.fetchCard = outgoing.fetch(MAX_CARD_BYTES);
    this.fetchKeys = outgoing.fetch(MAX_KEYS_BYTES);
  }

  /**
   * The card of the agent at this address: an URL that ends in `.json` is the card's own; under any other it is at its well-known place, or at
   * that of the whole origin if the card found there names this address.
   */
  async find(url: string, signal: AbortSignal, etag?: string): Promise<FoundCard | 'unchanged' | null> {
    for (const place of placesOf(url)) {
      const response = await this.get(place.url, signal, etag);
      if (response.status === 304) return 'unchanged';
      if (!response.ok) {
        if (response.status >= 500)
          throw new OrchestratorError(
            'agent_unreachable',
            `GET ${place.url} answered HTTP ${response.status}; try again when the agent is well`,
          );
        continue;
      }
      const found = await this.read(response, place, signal);
      if (found && (!place.onlyIfNamed || names(found.card, url))) return found;
    }
    return null;
  }

  /** The HTTP status of the card's place, its content unread. */
  async look(address: string, stop: Stop): Promise<number> {
    let status = 404;
    for (const { url } of placesOf(address)) {
      const { origin, pathname, search } = new URL(url);
      const credential = this.outgoing.credentials.for(url);
      const request = { origin, method: 'GET', path: pathname + search, headers: HEADERS, credential, maxBytes: MAX_CARD_BYTES } as const;
      ({ status } = await exchange(this.outgoing.dispatcher, { ...request, onHead: () => true }, stop));
      if (status !== 404) break;
    }
    return status;
  }

  private async get(url: string, signal: AbortSignal, etag?: string): Promise<Response> {
    try {
      return await this.fetchCard(url, { headers: { ...HEADERS, ...(etag !== undefined && { 'if-none-match': etag }) }, signal });
    } catch (error) {
      throw unread(url, error);
    }
  }

  private async read(response: Response, { url, home }: Place, signal: AbortSignal): Promise<FoundCard | null> {
    const bytes = Buffer.from(await response.arrayBuffer());
    const isJson = (response.headers.get('content-type') ?? 'application/json').includes('json');
    let served: JsonValue;
    try {
      served = parseJsonBytes(bytes) as JsonValue;
    } catch (error) {
      if (!isJson) return null; // a page for people, served under every path
      throw notUnderstood((error as Error).message);
    }
    if (!isJson)
      throw notUnderstood(`it is served as ${response.headers.get('content-type')?.slice(0, 100)}; serve it as application/json`);
    const { signature, document } = await checkSignatures(served, url, (keys) => this.keys(keys, signal));
    const card = readCard(document);
    const etag = response.headers.get('etag');
    return { card, bytes, home, address: addressOf(card, home), signature, ...(etag !== null && { etag }) };
  }

  private async keys(url: string, signal: AbortSignal): Promise<Buffer | null> {
    const response = await this.fetchKeys(url, { headers: { accept: 'application/json' }, signal });
    const bytes = Buffer.from(await response.arrayBuffer());
    return response.ok ? bytes : null;
  }
}

interface Place {
  readonly url: string;
  /** What the agent is registered under. */
  readonly home: string;
  readonly onlyIfNamed?: boolean;
}

function placesOf(address: string): Place[] {
  const { origin, pathname, href } = new URL(address);
  if (pathname.endsWith('.json')) {
    const known = [WELL_KNOWN, WELL_KNOWN_BEFORE].find((place) => pathname.endsWith(place));
    return [{ url: href, home: known ? origin + pathname.slice(0, -known.length) : href }];
  }
  const base = origin + pathname.replace(/\/+$/, '');
  const places = [WELL_KNOWN, WELL_KNOWN_BEFORE].map((place) => ({ url: base + place, home: base }));
  return base === origin ? places : [...places, { url: origin + WELL_KNOWN, home: origin, onlyIfNamed: true }];
}

function unread(url: string, error: unknown): OrchestratorError {
  if (error instanceof OrchestratorError) {
    if (error.code === 'payload_too_large') return notUnderstood(`it has more than ${MAX_CARD_BYTES} bytes`);
    return error.code === 'agent_not_understood' ? notUnderstood(error.message) : error;
  }
  return new OrchestratorError('agent_unreachable', `GET ${url.slice(0, 200)} failed: ${reason(error)}`, { cause: error });
}
