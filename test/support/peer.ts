/** A real agent over HTTP on this machine: what it is asked is kept, what it answers is chosen by capability. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Heard {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly task: { task_id: string; capability: string; parameters: Record<string, unknown>; context: unknown };
}

export interface Peer {
  readonly url: string;
  readonly heard: Heard[];
  /** Of calls whose caller hung up before they were answered. */
  readonly abandoned: string[];
  close(): Promise<void>;
}

export type Manner = (response: ServerResponse, task: Heard['task']) => void;

/** `application/json` with these bytes. */
export const says =
  (body: string | Buffer, status = 200, headers: Record<string, string> = {}): Manner =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);

/** These bytes, whatever HTTP says, and the end of the connection. */
export const sends =
  (bytes: string | Buffer): Manner =>
  (response) =>
    void response.socket!.end(bytes);

export async function startPeer(manners: Record<string, Manner>): Promise<Peer> {
  const heard: Heard[] = [];
  const abandoned: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const task = JSON.parse(Buffer.concat(chunks).toString() || 'null') as Heard['task'];
      heard.push({ path: request.url!, headers: request.headers, task });
      response.on('close', () => response.writableFinished || abandoned.push(task?.task_id));
      const manner = manners[task?.capability] ?? says('{}', 404);
      manner(response, task);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const close = () =>
    new Promise<void>((closed) => {
      server.close(() => closed());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, heard, abandoned, close };
}
