import { connect } from 'node:net';
import { running } from '../support/orchestrator.js';
import { anyPlace } from '../support/place.js';

describe('what is no HTTP request', () => {
  const ao = running(anyPlace);

  /** All that comes back until the connection ends. */
  const send = (bytes: string) =>
    new Promise<string>((resolve, reject) => {
      const chunks: Buffer[] = [];
      const socket = connect(Number(new URL(ao.server.url).port), '127.0.0.1', () => socket.write(bytes));
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('error', reject);
      socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
    });

  it.each<[string, string, number, RegExp]>([
    ['nonsense', 'what is the weather like?\r\n\r\n', 400, /not HTTP\/1\.1/],
    [
      'a body of two lengths',
      'POST /v1/orchestrate HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
      400,
      /not HTTP/,
    ],
    ['a head without end', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431, /larger than 16 KiB/],
  ])('as %s is answered with a problem, and the connection ends', async (_, bytes, status, detail) => {
    const [head, body] = (await send(bytes)).split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} \\w+`));
    expect(head).toContain('content-type: application/problem+json');
    expect(JSON.parse(body!)).toEqual({
      type: 'about:blank',
      title: 'invalid request',
      status,
      code: 'invalid_request',
      detail: expect.stringMatching(detail),
    });
    await ao.get('/v1/health').expect(200);
  });

  it('and never comes to its end is not waited for', () => {
    expect(ao.server.app.getHttpServer().requestTimeout).toBe(60_000);
  });
});
