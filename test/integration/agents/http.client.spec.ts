import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { Stop } from '../../../src/agents/agent-client.js';
import { HttpClient } from '../../../src/integration/agents/http.client.js';

type Manner = (request: IncomingMessage, response: ServerResponse) => void;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listening(server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  closing.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((closed) => server.close(closed));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function clientOf(endpoint: string): HttpClient {
  const client = new HttpClient(endpoint);
  closing.unshift(() => client.close());
  return client;
}

const asked = async (manner: Manner) => clientOf(`${await listening(createServer(manner))}/agents/one/`).health();
const says =
  (status: number, body = '', headers: Record<string, string> = {}): Manner =>
  (_request, response) =>
    void response.writeHead(status, headers).end(body);

describe('the health of an agent over HTTP', () => {
  it.each([200, 204, 299])('is healthy if GET {endpoint}/health answers %d', async (status) => {
    let path: string | undefined;
    const manner: Manner = (request, response) => {
      path = `${request.method} ${request.url}`;
      says(status)(request, response);
    };
    expect(await asked(manner)).toEqual({ status: 'healthy', error: null });
    expect(path).toBe('GET /agents/one/health');
  });

  it('is unknown if there is no such path', async () => {
    expect(await asked(says(404))).toEqual({ status: 'unknown', error: 'the agent has no /health' });
  });

  it.each<[string, Manner, RegExp]>([
    ['answers 503', says(503, 'busy'), /HTTP 503/],
    ['answers 401', says(401), /HTTP 401/],
    ['redirects', says(302, '', { location: '/elsewhere' }), /HTTP 302/],
    ['hangs up', (request) => request.socket.destroy(), /closed/],
    ['answers more than 64 KiB', says(200, 'x'.repeat(65_537)), /more than 65536 bytes/],
  ])('is unhealthy, with the reason, if it %s', async (_what, manner, error) => {
    expect(await asked(manner)).toEqual({ status: 'unhealthy', error: expect.stringMatching(error) });
  });

  it('is unhealthy if nobody listens', async () => {
    const url = await listening(createTcpServer());
    await closing.pop()!();
    expect(await clientOf(url).health()).toEqual({ status: 'unhealthy', error: expect.stringContaining('ECONNREFUSED') });
  });

  it('is unhealthy if the answer is no HTTP', async () => {
    const url = await listening(createTcpServer((socket) => socket.end('SSH-2.0-x\r\n')));
    expect(await clientOf(url).health()).toEqual({ status: 'unhealthy', error: expect.stringContaining('HTTP') });
  });

  it('is settled within five seconds, by one request for all who ask meanwhile', async () => {
    let requests = 0;
    const url = await listening(
      createServer(() => {
        requests += 1;
      }),
    );
    const client = clientOf(url);
    const from = performance.now();
    const both = await Promise.all([client.health(), client.health()]);
    expect(performance.now() - from).toBeLessThan(5500);
    expect(both).toEqual(Array(2).fill({ status: 'unhealthy', error: 'GET /health failed: no answer within 5 s' }));
    expect(requests).toBe(1);
  });

  it('does not wait behind calls that fill the pool', async () => {
    const url = await listening(
      createServer((request, response) => {
        if (request.url === '/health') says(200)(request, response);
      }),
    );
    const client = clientOf(url);
    const stop = new Stop();
    const task = { task_id: 'x', capability: 'c', parameters: {}, context: {} };
    const calls = Array.from({ length: 200 }, () => client.call(task, { stop, trace: null }));
    expect(await client.health()).toEqual({ status: 'healthy', error: null });
    stop.stop(new Error('enough'));
    const answers = await Promise.all(calls); // also those that never got a connection
    expect(new Set(answers.map((answer) => !answer.success && answer.code))).toEqual(new Set(['agent_unreachable']));
  });
});
