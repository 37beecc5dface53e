import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { wantsEvents } from '../../src/api/event-writer.stream.js';
import { followed } from '../../src/api/orchestrate.stream.js';
import type { Follower } from '../../src/orchestration/carrier.system.js';
import type { OrchestrateResult } from '../../src/orchestration/orchestrate.commands.js';

const CONTRACT = { contract_id: 'c', agent_id: 'a', task_id: 't' };
const HEARTBEAT_MS = 20;

describe('the events of a task', () => {
  let server: Server;
  let work: (follower: Follower) => Promise<OrchestrateResult>;
  const answer = (response: ServerResponse) =>
    followed(
      work,
      response,
      (error) => ({ type: 'about:blank', title: 't', status: 503, code: 'c', detail: String(error) }),
      HEARTBEAT_MS,
    ).then(
      (file) => file.getStream().pipe(response),
      (error: Error) => response.writeHead(400).end(error.message),
    );
  beforeAll(async () => {
    server = createServer((_, response) => void answer(response));
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  afterAll(() => new Promise((closed) => server.close(closed)));
  const ask = async () => {
    const { statusCode, body } = await request(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return [statusCode, await body.text()] as const;
  };

  it('are interspersed with comments while nothing happens', async () => {
    work = async ({ recorded }) => {
      recorded(CONTRACT);
      await sleep(HEARTBEAT_MS * 4);
      return CONTRACT as OrchestrateResult;
    };
    const [status, text] = await ask();
    const data = JSON.stringify(CONTRACT);
    const whole = new RegExp(`^event: contract\ndata: ${data}\n\n(: still working\n\n)+event: result\ndata: ${data}\n\n$`);
    expect([status, text]).toEqual([200, expect.stringMatching(whole)]);
  });

  it('end with an error when the result cannot be had any more', async () => {
    work = async ({ recorded }) => {
      recorded(CONTRACT);
      throw new Error('lost');
    };
    const [status, text] = await ask();
    expect([status, text]).toEqual([200, expect.stringMatching(/event: error\ndata: \{.*"status":503.*Error: lost.*\}\n\n$/)]);
  });

  it('do not begin before the contract is recorded: what fails until then is answered in its own way', async () => {
    work = async ({ progress }) => {
      progress!({ delta: 'nobody hears this' });
      throw new Error('refused');
    };
    expect(await ask()).toEqual([400, 'refused']);
  });
});

describe('an Accept header', () => {
  it.each([
    [undefined, false],
    ['', false],
    ['*/*', false],
    ['text/*', false],
    ['application/json', false],
    ['text/event-stream', true],
    ['text/event-stream;charset=utf-8', true],
    ['application/json;q=0.1,\ttext/event-stream ; q=0.5', true],
    ['text/event-stream; q=0', false],
    ['text/event-stream; q=0.000', false],
    ['x-text/event-stream', false],
  ])('%j asks for events: %s', (accept, wanted) => {
    expect(wantsEvents(accept)).toBe(wanted);
  });
});
