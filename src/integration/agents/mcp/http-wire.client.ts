/**
 * MCP over streamable HTTP for the SDK's Client. Each message gets an SDK transport of its own, so that what breaks belongs to one request:
 * shared, the SDK's transport lets a request wait for its timeout when its stream ends early or its answer is no answer to it. Here every
 * request ends: with the server's answer, or with ours.
 */
import {
  isJSONRPCErrorResponse,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type JSONRPCRequest,
  type RequestId,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type Transport,
  type TransportSendOptions,
} from '@modelcontextprotocol/client';
import { OrchestratorError } from '../../../kernel/errors.js';
import { type JsonValue, parseJson, parseJsonBytes } from '../../../kernel/json.js';
import { MAX_ANSWER_BYTES } from '../answer.js';
import type { Fetch, Hearing } from '../fetch.client.js';
import { mediaType } from '../http.client.js';

/** What else is answered is small. */
const LARGE = ['tools/call', 'tools/list'];
const SMALL_BYTES = 64 * 1024;
const NOTIFY_MS = 1000;
/** A server has this long to end a stream it has answered on; cut off at once, its connection could not be used again. */
const LINGER_MS = 1000;
/** A stream with event ids that broke off is asked for what was missed: its end, not the call again. */
const RESUME = { initialReconnectionDelay: 500, maxReconnectionDelay: 2000, reconnectionDelayGrowFactor: 2, maxRetries: 2 };

export class HttpWire implements Transport {
  onclose?: Transport['onclose'];
  onerror?: Transport['onerror'];
  onmessage?: Transport['onmessage'];
  sessionId?: string | undefined;
  /** To the SDK: on 2026-07-28 to hang up is to cancel. Before, a notification tells the server. */
  readonly hasPerRequestStream = true;
  private version: string | undefined;
  private readonly open = new Map<RequestId, () => void>();

  constructor(
    private readonly url: URL,
    private readonly fetch: (maxBytes: number, hear?: Hearing) => Fetch,
  ) {}

  async start(): Promise<void> {}

  setProtocolVersion(version: string): void {
    this.version = version;
  }

  send(message: JSONRPCMessage, options: TransportSendOptions = {}): Promise<void> {
    return isJSONRPCRequest(message) ? this.ask(message, options) : this.tell(message);
  }

  private async ask(request: JSONRPCRequest, { headers, requestSignal }: TransportSendOptions): Promise<void> {
    const { id, method } = request;
    let streams = false;
    let broken: Error | null = null;
    let retryAfter: unknown;
    const fetch = this.fetch(LARGE.includes(method) ? MAX_ANSWER_BYTES : SMALL_BYTES, {
      body: (bytes, head) => {
        retryAfter = head.headers['retry-after'];
        const ok = head.status >= 200 && head.status < 300;
        if (ok && mediaType(head) === 'application/json') mustAnswer(id, bytes);
      },
      streaming: ({ status }) => {
        streams = status >= 200 && status < 300;
      },
      event: (data) => void (data === '' || jsonOf(data, () => parseJson(data))),
      broken: (error) => {
        broken = error;
        if (error instanceof OrchestratorError) end(error); // nothing to resume
      },
    });
    const one = this.transport(fetch);
    const hangUp = () => end();
    const end = (failure?: Error) => {
      if (!this.open.delete(id)) return;
      requestSignal?.removeEventListener('abort', hangUp);
      void one.close();
      if (failure) this.onmessage?.({ jsonrpc: '2.0', id, error: { code: 0, message: failure.message, data: failure } });
    };
    this.open.set(id, hangUp);
    requestSignal?.addEventListener('abort', hangUp, { once: true });
    one.onmessage = (message) => {
      if (method === 'initialize') this.sessionId = one.sessionId;
      const answer = (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) && message.id === id;
      if (answer) {
        this.open.delete(id);
        requestSignal?.removeEventListener('abort', hangUp);
        if (streams) setTimeout(() => void one.close(), LINGER_MS).unref();
      }
      this.onmessage?.(message);
    };
    await one.start();
    try {
      await one.send(request, {
        ...(headers && { headers }),
        onRequestStreamEnd: () => end(unanswered(`the stream ended without an answer${broken ? `: ${broken.message}` : ''}`)),
      });
    } catch (error) {
      end();
      if (error instanceof SdkHttpError) error.data['retryAfter'] = retryAfter;
      throw error;
    }
    if (!streams) end(unanswered('the server accepted the request and answered nothing'));
  }

  /** Notifications, and answers to what the server asked. */
  private async tell(message: JSONRPCMessage): Promise<void> {
    const one = this.transport(this.fetch(SMALL_BYTES));
    const timer = setTimeout(() => void one.close(), NOTIFY_MS);
    try {
      await one.start();
      await one.send(message);
    } finally {
      clearTimeout(timer);
      await one.close();
      if ('method' in message && message.method === 'notifications/cancelled')
        this.open.get((message.params as { requestId: RequestId }).requestId)?.();
    }
  }

  private transport(fetch: Fetch): StreamableHTTPClientTransport {
    return new StreamableHTTPClientTransport(this.url, {
      fetch: async (input, init) => {
        // The standing stream of 2025-11-25: announcements nobody here listens to, for a socket per server.
        if (init?.method === 'GET' && !new Headers(init.headers).has('last-event-id')) return new Response(null, { status: 405 });
        return fetch(input, init);
      },
      reconnectionOptions: RESUME,
      ...(this.sessionId !== undefined && { sessionId: this.sessionId }),
      ...(this.version !== undefined && { protocolVersion: this.version }),
    });
  }

  /** Hangs up on whatever is open and gives the session back. */
  async close(): Promise<void> {
    for (const hangUp of [...this.open.values()]) hangUp();
    if (this.sessionId !== undefined) {
      const one = this.transport(this.fetch(SMALL_BYTES));
      this.sessionId = undefined;
      const timer = setTimeout(() => void one.close(), NOTIFY_MS);
      await one.start();
      await one.terminateSession().catch(() => undefined); // it ends by itself some day
      clearTimeout(timer);
    }
    this.onclose?.();
  }
}

/** The SDK reads JSON with JSON.parse, which keeps one of two equal keys and rounds large numbers: it gets only what passes our scanner. */
function jsonOf(text: string | Buffer, parse: () => unknown): JsonValue {
  try {
    return parse() as JsonValue;
  } catch (error) {
    throw new OrchestratorError('invalid_json', (error as Error).message, { cause: Buffer.from(text as string) });
  }
}

function mustAnswer(id: RequestId, bytes: Buffer): void {
  const message = jsonOf(bytes, () => parseJsonBytes(bytes));
  const ids = [message].flat().map((one) => (one as { id?: JsonValue } | null)?.id);
  if (!ids.includes(id))
    throw new OrchestratorError(
      'invalid_json',
      `the server answered message ${JSON.stringify(ids[0] ?? null).slice(0, 100)}, asked was ${JSON.stringify(id)}`,
      { cause: bytes },
    );
}

const unanswered = (why: string) => new OrchestratorError('agent_unreachable', `${why}; whether it acted is unknown`);
