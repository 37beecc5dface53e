/** Follows tasks over real sockets. */
import { connect, type Socket } from 'node:net';
import { createParser } from 'eventsource-parser';
import { request } from 'undici';
import type { Body } from './orchestrator.js';

export interface Told {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: as it came
  readonly data: any;
}

export interface Followed {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly events: Told[];
  /** The body of an answer that is no event stream. */
  // biome-ignore lint/suspicious/noExplicitAny: as it came
  readonly body: any;
}

const HEADERS = { 'content-type': 'application/json', accept: 'text/event-stream' };

function reader(events: Told[]) {
  return createParser({
    onEvent: ({ event, data }) => events.push({ event: event!, data: JSON.parse(data) }),
    onError: (error) => {
      throw error;
    },
  });
}

/** To its end. */
export async function follow(url: string, body: Body, headers: Record<string, string> = {}): Promise<Followed> {
  const answer = await request(`${url}/v1/orchestrate`, {
    method: 'POST',
    headers: { ...HEADERS, ...headers },
    body: JSON.stringify(body),
  });
  const text = await answer.body.text();
  const events: Told[] = [];
  const streams = String(answer.headers['content-type']).startsWith('text/event-stream');
  if (streams) reader(events).feed(text);
  return { status: answer.statusCode, headers: answer.headers, events, body: streams ? undefined : JSON.parse(text) };
}

/** A caller whose socket does as the test wants: it reads when told, and hangs up when told. */
export class SlowCaller {
  readonly events: Told[] = [];
  /** Bytes read, with HTTP around them. */
  bytes = 0;
  readonly closed: Promise<void>;
  private readonly socket: Socket;

  constructor(url: string, body: Body, { accept = 'text/event-stream' } = {}) {
    const { hostname, port } = new URL(url);
    const text = JSON.stringify(body);
    const chunks: Buffer[] = [];
    this.socket = connect(Number(port), hostname);
    this.socket.pause();
    this.closed = new Promise((closed) => this.socket.once('close', () => closed()));
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      chunks.push(chunk);
    });
    this.socket.on('end', () => reader(this.events).feed(dechunked(Buffer.concat(chunks))));
    this.socket.write(
      `POST /v1/orchestrate HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept: ${accept}\r\ncontent-type: application/json\r\n` +
        `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    );
  }

  async readAll(): Promise<void> {
    this.socket.resume();
    await this.closed;
  }

  hangUp(): void {
    this.socket.destroy();
  }
}

/** The body of a chunked HTTP/1.1 answer. */
function dechunked(bytes: Buffer): string {
  let at = bytes.indexOf('\r\n\r\n') + 4;
  const parts: Buffer[] = [];
  for (;;) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.toString('latin1', at, end), 16);
    if (!(size > 0)) return Buffer.concat(parts).toString();
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
