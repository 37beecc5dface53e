import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AgentClient, type Answer, Stop } from '../../../src/agents/agent-client.js';
import { neverSent, touched, turnedAway } from '../../../src/integration/agents/fault.js';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { Protocols } from '../../../src/integration/agents/protocols.client.js';
import { OrchestratorError } from '../../../src/kernel/errors.js';

const NOW = Date.parse('2026-11-20T10:00:00.000Z');

describe('a failed call has certainly reached nobody', () => {
  const error = (members: object, cause?: unknown) => Object.assign(new Error('x', { cause }), members);

  it.each([
    ['the connection was refused', error({ code: 'ECONNREFUSED', syscall: 'connect' })],
    ['the connection timed out', error({ code: 'UND_ERR_CONNECT_TIMEOUT' })],
    ['the name leads nowhere', error({ code: 'ENOTFOUND', syscall: 'getaddrinfo' })],
    ['the network is away', error({ code: 'ENETUNREACH', syscall: 'connect' })],
    [
      'no address of the name could be connected to',
      error({ code: 'ETIMEDOUT', errors: [error({ syscall: 'connect' }), error({ syscall: 'connect' })] }),
    ],
    ['fetch says so', error({}, error({ code: 'ECONNREFUSED' }))],
  ])('if %s', (_what, thrown) => expect(neverSent(thrown)).toBe(true));

  it.each([
    ['the connection was reset', error({ code: 'ECONNRESET', syscall: 'read' })],
    ['the other side hung up', error({ code: 'UND_ERR_SOCKET' })],
    ['an established connection timed out', error({ code: 'ETIMEDOUT', syscall: 'read' })],
    ['it redirected', new OrchestratorError('address_refused', 'HTTP 303')],
    ['nobody knows', error({})],
    ['it is its own cause', (() => Object.assign(error({}), { cause: null }))()],
    ['nothing was thrown', undefined],
  ])('but not if %s', (_what, thrown) => expect(neverSent(thrown)).toBe(false));
});

describe('an agent that says "not now"', () => {
  it('by 429 and 503 has not acted, and wants to be left alone as long as it says', () => {
    expect(turnedAway(429, undefined, NOW)).toMatchObject({ code: 'agent_busy', fault: { untouched: true } });
    expect(turnedAway(429, '7', NOW)!.fault).toEqual({ untouched: true, after_ms: 7000 });
    expect(turnedAway(503, 'Fri, 20 Nov 2026 10:00:09 GMT', NOW)!.fault).toEqual({ untouched: true, after_ms: 9000, broke: true });
    expect(turnedAway(503, '99999', NOW)!.fault!.after_ms).toBe(300_000);
  });
  it('says so by nothing else', () => {
    for (const status of [200, 400, 401, 408, 500, 502, 504]) expect(turnedAway(status, '1', NOW)).toBeNull();
  });
  it('about a call that it took up before may have acted after all', () => {
    const failure: Answer = { success: false, code: 'agent_busy', message: 'later', fault: { untouched: true, after_ms: 5 } };
    expect(touched(failure)).toEqual({ ...failure, fault: { untouched: false, after_ms: 5 } });
    expect(touched({ success: true, data: 1 })).toEqual({ success: true, data: 1 });
  });
});

describe('a server that answers every call with one status', () => {
  let server: Server;
  let status = 0;
  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume().on('end', () => {
        const card = request.url?.endsWith('agent-card.json');
        response.writeHead(card ? 200 : status, { 'content-type': card ? 'application/json' : 'text/plain', 'retry-after': '2' });
        response.end(card ? JSON.stringify(CARD()) : 'sorry');
      });
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const CARD = () => ({
    ...{ name: 'A', description: 'a', version: '1.0.0', capabilities: {}, defaultInputModes: ['text'], defaultOutputModes: ['text'] },
    supportedInterfaces: [{ url: url(), protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    skills: [{ id: 'x', name: 'X', description: 'x', tags: [] }],
  });

  const call = async (protocol: string, answers: number): Promise<Answer> => {
    status = answers;
    const outgoing = new Outgoing(['loopback']);
    const description = { agent_id: 'a', name: 'A', description: '', version: '1.0.0', capabilities: [{ name: 'x', description: '' }] };
    const spoken = new Protocols(outgoing).all.find(({ name }) => name === protocol)!;
    const client: AgentClient = spoken.connect({ endpoint: url(), description });
    try {
      const task = { task_id: '01K00000000000000000000000', capability: 'x', parameters: {}, context: {} };
      return await client.call(task, { stop: new Stop(), trace: null });
    } finally {
      await client.close();
      await outgoing.close();
    }
  };
  const PROTOCOLS = ['http', 'a2a', 'acp-invoke', 'acp-beeai', 'acp-agntcy', 'mcp'];

  it.each(PROTOCOLS)('is busy over %s if that is 429 or 503, and says until when', async (protocol) => {
    expect(await call(protocol, 429)).toMatchObject({ success: false, code: 'agent_busy', fault: { untouched: true, after_ms: 2000 } });
    expect(await call(protocol, 503)).toMatchObject({ success: false, code: 'agent_busy', fault: { untouched: true, broke: true } });
  });

  it.each(PROTOCOLS.filter((protocol) => protocol !== 'mcp'))(
    'has broken down over %s if that is 500, and may have acted',
    async (protocol) => {
      const answer = await call(protocol, 500);
      expect(answer).toMatchObject({ success: false, code: 'agent_failed', fault: { broke: true } });
      expect('fault' in answer && answer.fault?.untouched).toBeFalsy();
    },
  );
});
