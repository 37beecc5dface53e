/** A server that speaks one of the three protocols called ACP: what is asked of it comes back bounded. */
import type { Dispatcher } from 'undici';
import { type Health, Stop } from '../../../agents/agent-client.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { type JsonValue, parseJsonBytes } from '../../../kernel/json.js';
import type { Credential } from '../../tokens/credentials.client.js';
import { MAX_ANSWER_BYTES } from '../answer.js';
import { type Exchange, exchange, type HttpAnswer, type HttpHead } from '../exchange.client.js';
import { encoded, mediaType, reason, redirect } from '../http.client.js';
import type { Outgoing } from '../outgoing.client.js';
import { type EventFeed, eventFeed } from '../server-sent-events.js';

/** Of one document that describes agents. Its schemas are compiled, at about a second for each 64 KiB. */
const MAX_DOCUMENT_BYTES = 512 * 1024;
const HEALTH_MS = 5000;
const MAX_HEALTH_BYTES = 64 * 1024;
/** For a server to end a stream by itself after it said its last word. */
const LINGER_MS = 1000;

export type Request = Omit<Exchange, 'origin' | 'credential' | 'maxBytes' | 'onData' | 'headers' | 'body'> & {
  readonly headers?: Record<string, string>;
  readonly body?: JsonValue;
};

export interface Document {
  readonly json: JsonValue;
  readonly bytes: Buffer;
  readonly media_type: string;
  readonly etag?: string;
}

export class AcpServer {
  private readonly origin: string;
  private readonly path: string;
  private readonly credential: Credential | undefined;

  constructor(
    outgoing: Outgoing,
    base: string,
    /** Its connections belong to whoever made it. */
    private readonly dispatcher: Dispatcher = outgoing.dispatcher,
  ) {
    const url = new URL(base);
    this.origin = url.origin;
    this.path = url.pathname.replace(/\/$/, '');
    this.credential = outgoing.credentials.for(url);
  }

  ask(request: Request, stop: Stop, maxBytes = MAX_ANSWER_BYTES): Promise<HttpAnswer> {
    return exchange(this.dispatcher, this.exchangeOf(request, maxBytes), stop);
  }

  /**
   * Asks, and lets `hear` have the data of each event until it says true: then nothing more is waited for. What is no event stream, or none
   * with status 200, is not heard; `heard` tells. Of a stream that never ends at most MAX_ANSWER_BYTES are read.
   */
  listen(request: Request, stop: Stop, hear: (data: string) => boolean): Promise<HttpAnswer & { heard: boolean }> {
    return new Promise((resolve, reject) => {
      const end = new Stop();
      stop.onStop((why) => end.stop(why));
      let last = false;
      let feed: EventFeed | null = null;
      const onHead = (head: HttpHead) => {
        if (isStream(head))
          feed = eventFeed((data) => {
            last ||= hear(data);
          });
        return false;
      };
      const onData = (chunk: Buffer, head: HttpHead) => {
        if (last || !feed) return;
        feed.add(chunk);
        if (!last) return;
        resolve({ ...head, heard: true, bytes: Buffer.alloc(0) });
        setTimeout(() => end.stop(new Error('everything was said')), LINGER_MS).unref();
      };
      const exchanged = exchange(this.dispatcher, { ...this.exchangeOf(request, MAX_ANSWER_BYTES), onHead, onData }, end);
      exchanged.then((answer) => resolve({ ...answer, heard: feed !== null }), reject);
    });
  }

  /** The JSON document at a path; null if there is none. Throws `agent_unreachable`, `address_refused` or `agent_not_understood`. */
  async document(request: Request, stop: Stop): Promise<Document | null> {
    const document = await this.changed(request, undefined, stop);
    return document === 'unchanged' ? null : document;
  }

  /** The same, unless it still has this etag. */
  async changed(asked: Request, etag: string | undefined, stop: Stop): Promise<Document | 'unchanged' | null> {
    const request = etag === undefined ? asked : { ...asked, headers: { ...asked.headers, 'if-none-match': etag } };
    const where = `${request.method} ${this.origin}${this.path}${request.path}`;
    let answer: HttpAnswer;
    try {
      answer = await this.ask(request, stop, MAX_DOCUMENT_BYTES);
    } catch (error) {
      if (error instanceof OrchestratorError && error.code === 'payload_too_large')
        throw new OrchestratorError('agent_not_understood', `${where} answers more than ${MAX_DOCUMENT_BYTES} bytes`);
      if (error instanceof OrchestratorError) throw error;
      throw new OrchestratorError('agent_unreachable', `${where} failed: ${reason(error)}`, { cause: error });
    }
    const moved = redirect(answer);
    if (moved !== null) throw new OrchestratorError('address_refused', `${where}: ${moved}`);
    if (answer.status === 304 && etag !== undefined) return 'unchanged';
    if (answer.status !== 200 || encoded(answer) !== null || !isJson(answer)) return null;
    try {
      const json = parseJsonBytes(answer.bytes) as JsonValue;
      const { etag } = answer.headers;
      return { json, bytes: answer.bytes, media_type: 'application/json', ...(typeof etag === 'string' && { etag }) };
    } catch (error) {
      throw new OrchestratorError('agent_not_understood', `${where} answers no JSON: ${(error as Error).message}`, { cause: error });
    }
  }

  /** 2xx is healthy; 404 says only that there is nobody to ask. */
  async probe(request: Request): Promise<Health> {
    const stop = new Stop();
    const timer = setTimeout(() => stop.stop(new Error(`no answer within ${HEALTH_MS / 1000} s`)), HEALTH_MS);
    const what = `${request.method} ${request.path}`;
    try {
      const { status } = await this.ask(request, stop, MAX_HEALTH_BYTES);
      if (status >= 200 && status < 300) return { status: 'healthy', error: null };
      if (status === 404) return { status: 'unknown', error: `the agent has no ${request.path}` };
      return { status: 'unhealthy', error: `${what} answered HTTP ${status}` };
    } catch (error) {
      return { status: 'unhealthy', error: `${what} failed: ${reason(error)}` };
    } finally {
      clearTimeout(timer);
    }
  }

  private exchangeOf({ method, path, headers, body }: Request, maxBytes: number): Exchange {
    const json = body === undefined ? undefined : JSON.stringify(body);
    return {
      origin: this.origin,
      credential: this.credential,
      method,
      path: this.path + path,
      headers: { accept: 'application/json', ...(json !== undefined && { 'content-type': 'application/json' }), ...headers },
      maxBytes,
      ...(json !== undefined && { body: json }),
    };
  }
}

const isStream = (head: HttpHead) => head.status === 200 && encoded(head) === null && mediaType(head) === 'text/event-stream';
const isJson = (head: HttpHead) => mediaType(head) === 'application/json' || mediaType(head).endsWith('+json');
