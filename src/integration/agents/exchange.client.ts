/** One HTTP request and its whole answer, bounded: no retries, no redirects, and no time limit but the caller's `stop`. */
import type { Dispatcher } from 'undici';
import type { Stop } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import type { Credential } from '../tokens/credentials.client.js';

export interface Exchange {
  /** Where to, for a dispatcher that reaches more than one. */
  readonly origin?: string;
  readonly method: Dispatcher.HttpMethod;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  /** Sent along; absent: nobody has to know who asks. */
  readonly credential?: Credential | undefined;
  readonly maxBytes: number;
  /** Hears the head before the body comes. True: that was all, the rest is not read. What it throws ends the exchange. */
  readonly onHead?: (head: HttpHead) => boolean;
  /** Hears the body while it comes; it is still collected. What it throws ends the exchange. */
  readonly onData?: (chunk: Buffer, head: HttpHead) => void;
}

export interface HttpHead {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
}

export interface HttpAnswer extends HttpHead {
  readonly bytes: Buffer;
}

/**
 * Rejects with `payload_too_large` as soon as the answer is, and with undici's errors. `dispatch` rather than `request`: the answer is wanted
 * whole, and a stream around it costs as much as the call itself.
 */
export function exchange(pool: Dispatcher, request: Exchange, stop: Stop): Promise<HttpAnswer> {
  return request.credential ? admitted(pool, request, stop) : send(pool, request, stop);
}

/** A 401 is an answer like any other: the request is not sent again with a newer token, the next one has it. */
function admitted(pool: Dispatcher, { credential, ...request }: Exchange, stop: Stop): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    stop.onStop(reject); // at once, even while it waits for a token
    const sent = credential!.authorization().then(async (authorization) => {
      if (stop.why) throw stop.why;
      const answer = await send(pool, { ...request, headers: { ...request.headers, authorization } }, stop);
      if (answer.status === 401) credential!.refused(authorization);
      return answer;
    });
    sent.then(resolve, reject);
  });
}

function send(pool: Dispatcher, { maxBytes, onHead, onData, ...request }: Exchange, stop: Stop): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const body = new Body(maxBytes);
    let head: HttpHead = { status: 0, headers: {} };
    const heard = (controller: Dispatcher.DispatchController, hear: () => void) => {
      try {
        hear();
      } catch (error) {
        controller.abort(error as Error);
      }
    };
    stop.onStop(reject); // at once, even while it waits for a connection
    pool.dispatch(
      { headersTimeout: 0, bodyTimeout: 0, ...request },
      {
        onRequestStart(controller) {
          stop.onStop((why) => controller.abort(why)); // also what was stopped before it started
        },
        onResponseStart(controller, status, headers) {
          head = { status, headers };
          if (!onHead || status < 200) return; // what goes before the head
          heard(controller, () => {
            if (!onHead(head)) return;
            resolve({ ...head, bytes: body.bytes() });
            controller.abort(new Error('enough was heard'));
          });
        },
        onResponseData(controller, chunk) {
          if (!body.add(chunk))
            return controller.abort(new OrchestratorError('payload_too_large', `the agent answered more than ${maxBytes} bytes`));
          if (onData) heard(controller, () => onData(chunk, head));
        },
        onResponseEnd() {
          resolve({ ...head, bytes: body.bytes() });
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      },
    );
  });
}

/** Chunks in one buffer that doubles: an answer that comes byte by byte costs what it holds, not a hundred times that. */
class Body {
  private held: Buffer | null = null;
  private size = 0;

  constructor(private readonly maxBytes: number) {}

  /** False if that is too much. */
  add(chunk: Buffer): boolean {
    const size = this.size + chunk.length;
    if (size > this.maxBytes) return false;
    if (!this.held)
      this.held = chunk; // most answers are one chunk: nothing is copied
    else {
      if (size > this.held.length) {
        const larger = Buffer.allocUnsafe(Math.min(this.maxBytes, size * 2));
        this.held.copy(larger, 0, 0, this.size);
        this.held = larger;
      }
      chunk.copy(this.held, this.size);
    }
    this.size = size;
    return true;
  }

  bytes(): Buffer {
    return this.held ? this.held.subarray(0, this.size) : Buffer.alloc(0);
  }
}
