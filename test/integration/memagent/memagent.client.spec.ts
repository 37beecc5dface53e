import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemAgentClient } from '../../../src/integration/memagent/memagent.client.js';

describe('a MemAgent', () => {
  let server: Server;
  let answer: { status: number; headers: Record<string, string> };
  let client: MemAgentClient;
  let url: string;
  const heard: string[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      heard.push(`${request.method} ${request.url}`);
      const well = request.url === '/v1/health';
      request.resume().on('end', () => response.writeHead(well ? 200 : answer.status, well ? {} : answer.headers).end('{}'));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new MemAgentClient({ url, compress: false });
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  const delivered = (to = client) => to.deliver({ session: 'session_s', intent: 'i', notes: ['n'] }, new AbortController().signal);

  it.each([400, 404, 413, 422, 501])('that answers %i will never take this block', async (status) => {
    answer = { status, headers: {} };
    await expect(delivered()).resolves.toEqual({ refused: `MemAgent refused the session: HTTP ${status}` });
  });

  it.each([302, 401, 403, 407, 408, 421, 425, 429, 500, 503])('that answers %i may take it later, like every other', async (status) => {
    answer = { status, headers: {} };
    await expect(delivered()).rejects.toMatchObject({
      code: 'integration_unavailable',
      message: expect.stringContaining(`HTTP ${status}`),
    });
  });

  it('is left alone as long as it asks for, in seconds or by the clock, five minutes at most', async () => {
    const asked = async (after: string) => {
      answer = { status: 503, headers: { 'retry-after': after } };
      return ((await delivered().catch((error: unknown) => error)) as { retryAfter?: number }).retryAfter;
    };
    expect(await asked('7')).toBe(7);
    expect(await asked('86400')).toBe(300);
    const until = await asked(new Date(Date.now() + 60_000).toUTCString());
    expect(until).toBeGreaterThan(30);
    expect(until).toBeLessThanOrEqual(60);
    expect(await asked('soon')).toBeUndefined();
  });

  it('is asked to compress by itself only where that is wanted', async () => {
    answer = { status: 200, headers: {} };
    heard.length = 0;
    await expect(delivered()).resolves.toBe('delivered');
    expect(heard.filter((line) => line.endsWith('/compress'))).toEqual([]);
    await expect(delivered(new MemAgentClient({ url, compress: true }))).resolves.toBe('delivered');
    expect(heard.at(-1)).toBe('POST /v1/session/session_s/compress');
  });
});
