/** What the test agents of all ACP dialects are made of: an HTTP server that holds both sides to the wire shapes, and what an agent may do. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fault, type WireShape } from './acp-schemas.js';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  // biome-ignore lint/suspicious/noExplicitAny: what came over the wire, checked against its shape where the protocol has one
  readonly body: any;
}

export interface AcpPeer {
  readonly url: string;
  readonly asked: Asked[];
  /** Paths whose caller hung up before they were answered. */
  readonly hungUp: string[];
  /** Idempotency keys of those whose caller hung up, and of runs the agent was told to cancel. */
  readonly unwanted: string[];
  /** Runs the agent was told to cancel. */
  readonly cancelled: string[];
  /** How either side broke the protocol, in words. */
  readonly faults: string[];
  close(): Promise<void>;
}

export type Handler = (asked: Asked, response: ServerResponse, peer: AcpPeer) => void;

export async function startAcpPeer(handle: Handler, port = 0): Promise<AcpPeer> {
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const asked = {
        method: request.method!,
        path: request.url!,
        headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
      };
      peer.asked.push(asked);
      response.on('close', () => {
        if (response.writableFinished) return;
        peer.hungUp.push(asked.path);
        peer.unwanted.push(String(asked.headers['idempotency-key']));
      });
      handle(asked, response, peer);
    });
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  const peer: AcpPeer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    hungUp: [],
    unwanted: [],
    cancelled: [],
    faults: [],
    close: () =>
      new Promise((closed) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => closed());
      }),
  };
  return peer;
}

/** Notes it if the value breaks the protocol. */
export function held(peer: AcpPeer, shape: WireShape, value: unknown): void {
  const found = fault(shape, value);
  if (found !== null) peer.faults.push(found);
}

export const json = (response: ServerResponse, value: unknown, status = 200, headers: Record<string, string> = {}) =>
  void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

/** Answers below every protocol: what a broken or hostile agent sends whatever it was asked. */
export const RAW: Record<string, (response: ServerResponse) => void> = {
  huge: (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(`"${'x'.repeat(5 * 1024 * 1024)}"`),
  endless: (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const more = () => {
      while (!response.destroyed && response.write(`: ${'x'.repeat(64 * 1024)}\n\n`));
      if (!response.destroyed) response.once('drain', more);
    };
    more();
  },
  garbage: (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"id": 1, "id'),
  'garbage event': (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"type": \n\n'),
  'not utf-8': (response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(Buffer.from([0x64, 0xff, 0xfe])),
  page: (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
  dies: (response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
    response.write('{"id":', () => response.socket!.destroy());
  },
  hang: () => undefined,
  moved: (response) => void response.writeHead(307, { location: 'http://169.254.169.254/' }).end(),
  zipped: (response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
  'who are you': (response) => void response.writeHead(401, { 'www-authenticate': 'Bearer' }).end(),
  'proxy error': (response) => void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad Gateway</h1>'),
};

/** What the suite of the port asks for by the name of a capability, in the words of this agent. */
const BY_CAPABILITY: Record<string, string> = {
  slow: 'slow',
  hang: 'never',
  fail: 'no planet',
  words: 'cheese',
  huge: 'huge',
  garbage: 'garbage',
  half: 'dies',
  progress: 'progress',
};
export const asWished = (capability: unknown, parameters: Record<string, unknown>): Record<string, unknown> =>
  typeof capability === 'string' && Object.hasOwn(BY_CAPABILITY, capability) ? { do: BY_CAPABILITY[capability] } : parameters;

/** What an honest agent does with its parameters. */
export interface Thought {
  readonly data?: unknown;
  readonly words?: readonly string[];
  readonly error?: string;
  readonly question?: string;
  readonly afterMs?: number;
}

export function think(parameters: Record<string, unknown>): Thought {
  if (typeof parameters['text'] === 'string' && Object.keys(parameters).length === 1)
    return { words: ['Hello, ', `${parameters['text']}!`] };
  switch (parameters['do']) {
    case 'add':
      return { data: { sum: Number(parameters['a']) + Number(parameters['b']) } };
    case 'greet':
      return { words: ['Hello, ', 'Ada!'] };
    case 'slow':
      return { data: { slow: true }, afterMs: Number(parameters['ms'] ?? 500) };
    case 'no planet':
      return { error: 'no such planet' };
    case 'cheese':
      return { words: ['Error: ', 'out of cheese'] };
    case 'progress':
      return { words: ['Hel', 'lo'], data: { said: 'Hello' } };
    case 'never':
      return { afterMs: 3_600_000 };
    case 'fail':
      return { error: 'division by zero' };
    case 'error as text':
      return { words: ['Error: ', 'division by zero'] };
    case 'ask':
      return { question: 'Which city?' };
    default:
      return { data: parameters };
  }
}
