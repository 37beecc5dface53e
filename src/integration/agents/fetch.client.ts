/**
 * `fetch` for SDKs, over `exchange`: one request, bounded, nothing followed, nothing decoded, the answer's bytes as they came. An answer is
 * there when all of it is; only that of an event stream comes while it is read.
 */
import type { Dispatcher } from 'undici';
import { Stop } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import type { Credential } from '../tokens/credentials.client.js';
import { exchange, type HttpAnswer, type HttpHead } from './exchange.client.js';
import { encoded, mediaType, redirect } from './http.client.js';
import { eventFeed } from './server-sent-events.js';

export type Fetch = typeof globalThis.fetch;

/** What comes is heard before the SDK, which is lenient and rewrites, sees it. Whatever is thrown here breaks the answer there. */
export interface Hearing {
  /** A whole answer that is no event stream. */
  readonly body?: (bytes: Buffer, head: HttpHead) => void;
  /** An event stream begins. */
  readonly streaming?: (head: HttpHead) => void;
  /** The data of one of its events. */
  readonly event?: (data: string) => void;
  /** It broke off, or what it holds did not pass. */
  readonly broken?: (error: Error) => void;
}

interface Asked {
  readonly init: RequestInit;
  readonly credential: Credential | undefined;
  readonly maxBytes: number;
  readonly hear: Hearing;
}

export async function fetchOver(dispatcher: Dispatcher, url: URL, { init, credential, maxBytes, hear }: Asked): Promise<Response> {
  const { method = 'GET', body = null, signal } = init;
  if (body !== null && typeof body !== 'string') throw new TypeError('only text is sent here');
  signal?.throwIfAborted();
  const stop = new Stop();
  const abort = () => stop.stop(signal!.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  const request = {
    origin: url.origin,
    path: url.pathname + url.search,
    method: method as Dispatcher.HttpMethod,
    headers: { 'accept-encoding': 'identity', ...Object.fromEntries(new Headers(init.headers)) },
    credential,
    maxBytes,
    ...(body !== null && { body }),
  };
  return new Promise((resolve, reject) => {
    let stream: EventStream | null = null;
    const onHead = (head: HttpHead) => {
      refuse(head);
      if (mediaType(head) !== 'text/event-stream') return false;
      hear.streaming?.(head);
      stream = new EventStream(hear, stop);
      resolve(new Response(stream.body, { status: head.status, headers: headersOf(head) }));
      return false;
    };
    const onData = (chunk: Buffer) => stream?.add(chunk);
    exchange(dispatcher, { ...request, onHead, onData }, stop)
      .then((answer) => {
        if (stream) return stream.end();
        hear.body?.(answer.bytes, answer);
        resolve(whole(answer));
      })
      .catch((error: Error) => (stream ? stream.fail(error) : reject(error)))
      .finally(() => signal?.removeEventListener('abort', abort));
  });
}

/** Not held back where the SDK is slow: all of it is bounded. */
class EventStream {
  readonly body: ReadableStream<Uint8Array>;
  private readonly feed = eventFeed((data) => this.hear.event?.(data));
  private controller!: ReadableStreamDefaultController<Uint8Array>;
  private left = false;

  constructor(
    private readonly hear: Hearing,
    stop: Stop,
  ) {
    this.body = new ReadableStream({
      start: (controller) => {
        this.controller = controller;
      },
      cancel: () => {
        this.left = true;
        stop.stop(new Error('nobody reads the stream any more'));
      },
    });
  }

  add(chunk: Buffer): void {
    if (this.left) return;
    this.feed.add(chunk);
    this.controller.enqueue(chunk);
  }

  end(): void {
    if (this.left) return;
    this.feed.end();
    this.controller.close();
  }

  fail(error: Error): void {
    if (this.left) return;
    this.hear.broken?.(error);
    this.controller.error(error);
  }
}

function refuse(head: HttpHead): void {
  const moved = redirect({ ...head, headers: { location: 'nowhere', ...head.headers } });
  if (moved !== null) throw new OrchestratorError('address_refused', moved);
  const { status } = head;
  const unreadable = status > 599 ? `the agent answered HTTP ${status}, which there is not` : encoded(head);
  if (unreadable !== null) throw new OrchestratorError('agent_not_understood', unreadable);
}

const BODILESS = [204, 205, 304];

const whole = (answer: HttpAnswer) =>
  new Response(BODILESS.includes(answer.status) ? null : answer.bytes, { status: answer.status, headers: headersOf(answer) });

function headersOf({ headers }: HttpHead): Headers {
  const made = new Headers();
  for (const [name, said] of Object.entries(headers)) for (const value of [said ?? []].flat()) made.append(name, asBytes(value));
  return made;
}

/** undici reads headers as UTF-8, `Headers` takes bytes. */
const asBytes = (text: string) => (/^[\0-\xff]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1'));
