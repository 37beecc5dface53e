/** A real server that is a token endpoint and an agent which lets in nobody without one of its tokens. */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface GuardedAgent {
  readonly url: string;
  /** Of the requests to the agent. */
  readonly heard: { readonly path: string; readonly authorization: string | undefined }[];
  /** Of the requests for a token. */
  readonly asked: { readonly form: Record<string, string>; readonly headers: IncomingHttpHeaders }[];
  /** How the next tokens are granted. */
  grant: (response: ServerResponse, nth: number) => void;
  close(): Promise<void>;
}

export const grants =
  (more: object = { expires_in: 3600 }) =>
  (response: ServerResponse, nth: number): void =>
    void response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ access_token: `token-${nth}`, token_type: 'Bearer', ...more }));

export async function startGuarded(accepts: (token: string) => boolean = () => true): Promise<GuardedAgent> {
  const heard: GuardedAgent['heard'] = [];
  const asked: GuardedAgent['asked'] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url: path = '', headers } = request;
      if (path === '/token') {
        asked.push({ form: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())), headers });
        return agent.grant(response, asked.length);
      }
      heard.push({ path, authorization: headers.authorization });
      const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
      const known = token !== undefined && accepts(token);
      response.writeHead(known ? 200 : 401, { 'content-type': 'application/json' });
      response.end(JSON.stringify(known ? { success: true, data: { hello: 'world' } } : { error: 'who are you?' }));
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const agent: GuardedAgent = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    asked,
    grant: grants(),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  return agent;
}
