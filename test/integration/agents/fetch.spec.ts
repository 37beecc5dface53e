import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Outgoing } from '../../../src/integration/agents/outgoing.client.js';
import { parseJson } from '../../../src/kernel/json.js';

const outgoing = new Outgoing(['loopback']);
let server: Server;
let listener: RequestListener;
let url: string;
beforeAll(async () => {
  server = createServer((request, response) => listener(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await outgoing.close();
  await new Promise((closed) => server.close(closed));
});

describe('events on their way to an SDK', () => {
  /** The text that reached the SDK, or null if it was broken off. */
  async function read(chunks: readonly (string | Uint8Array)[]) {
    const write = async (response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      for (const chunk of chunks) {
        response.write(chunk);
        await sleep(1); // mostly a piece of its own on the wire
      }
      response.end();
    };
    listener = (_, response) => void write(response);
    const heard: string[] = [];
    const broken: Error[] = [];
    const event = (data: string) => {
      if (data !== '') parseJson(data);
      heard.push(data);
    };
    const answer = await outgoing.fetch(10_000, { event, broken: (error) => void broken.push(error) })(url);
    return { text: await answer.text().catch(() => null), heard, broken };
  }

  it.each([
    ['\n', 'data: {"a":1}\n\n'],
    ['\r\n', 'data: {"a":1}\r\n\r\n'],
    ['\r', 'data: {"a":1}\r\r'],
  ])('pass as they are, cut anywhere, with lines that end in %j', async (end, event) => {
    const text = `id: 7${end}: comment${end}${event}`;
    for (let cut = 0; cut < text.length; cut += 5)
      expect(await read([text.slice(0, cut), text.slice(cut)])).toEqual({ text, heard: ['{"a":1}'], broken: [] });
  });

  it('pass where one event has its data on many lines, or none', async () => {
    const text = 'data: {"a":\ndata: 1}\n\nevent: ping\ndata:\n\nevent: x\n\n';
    expect(await read([text])).toEqual({ text, heard: ['{"a":\n1}', ''], broken: [] });
  });

  it.each(['{"a":1,"a":2}', '{"a":12345678901234567890}', '{'])('are broken off by %s before its end is passed on', async (data) => {
    const text = `data: ${data}\n\n`;
    for (let cut = 0; cut < text.length; cut += 4)
      expect(await read([text.slice(0, cut), text.slice(cut)])).toEqual({
        text: null,
        heard: [],
        broken: [expect.objectContaining({ code: 'invalid_json' })],
      });
  });

  it('are broken off by what is no UTF-8', async () => {
    expect((await read([new Uint8Array([100, 97, 116, 97, 58, 0xff, 10, 10])])).broken).toMatchObject([{ code: 'invalid_json' }]);
  });
});
