/** A real agent over plain HTTP that describes itself, and can change its mind. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface DescribingAgent {
  readonly url: string;
  /** What it answers with at these paths, as JSON or these bytes. */
  readonly says: Record<string, unknown>;
  /** Paths it was asked for. */
  readonly asked: string[];
  /** From now on tasks are answered only when what it returns is called. */
  hold(): () => void;
  close(): Promise<void>;
  /** Back at the same port. */
  reopen(): Promise<void>;
}

export const capabilities = (agent_id: string, more: object = {}) => ({
  agent_id,
  agent_name: `The ${agent_id}`,
  description: 'Does what it says',
  version: '1.0.0',
  capabilities: [
    { name: `${agent_id}-greets`, description: 'Greets', input_schema: { type: 'object' }, output_schema: { type: 'object' } },
  ],
  ...more,
});

export async function startDescribing(says: Record<string, unknown>): Promise<DescribingAgent> {
  const asked: string[] = [];
  let waiting: Promise<void> = Promise.resolve();
  const answer = async ({ url, headers }: IncomingMessage, response: ServerResponse) => {
    const said = says[url!];
    if (url === '/execute') await waiting;
    if (said === undefined) return response.writeHead(404).end();
    const body = Buffer.isBuffer(said) ? said : Buffer.from(JSON.stringify(said));
    const etag = `"${createHash('sha256').update(body).digest('hex')}"`;
    if (headers['if-none-match'] === etag) return response.writeHead(304).end();
    return response.writeHead(200, { 'content-type': 'application/json', etag }).end(body);
  };
  const make = () =>
    createServer((request, response) => {
      asked.push(request.url!);
      request.resume().on('end', () => void answer(request, response));
    });
  let server = make();
  const listen = (port: number) => new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    says,
    asked,
    hold() {
      let release: () => void = () => undefined;
      waiting = new Promise((resolve) => {
        release = resolve;
      });
      return release;
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
    reopen() {
      server = make();
      return listen(port);
    },
  };
}
