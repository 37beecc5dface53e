/** What the command line makes of answers that are none: each from a real server on this machine. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OrchestratorClient } from '../../src/cli/orchestrator.client.js';
import { endAll, runCommand, spawnCommand } from '../support/process.js';
import { until } from '../support/until.js';

let server: Server;
let url: string;
let answer: (response: ServerResponse, path: string) => void;
let asked: number;

beforeAll(async () => {
  server = createServer((incoming, response) => {
    asked++;
    incoming.resume().on('end', () => answer(response, incoming.url!));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  asked = 0;
});
afterAll(async () => {
  await endAll();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) => {
  answer = (response) => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
};
const orchestrate = (...args: string[]) => runCommand(['orchestrate', '-s', 'x', '-c', 'echo', '--url', url, ...args]);

const half = (n: number, more: object = {}) => ({
  contract_id: `c${n}`,
  contract_type: 'REQUEST',
  from_agent: 'orchestrator',
  to_agent: null,
  capability: null,
  parameters: {},
  status: 'failed',
  created_at: '2026-11-21T12:00:00.000Z',
  completed_at: '2026-11-21T12:00:01.500Z',
  result: null,
  error: null,
  error_code: 'no_agent',
  in_reply_to: null,
  seq: n,
  metadata: {},
  ...more,
});

describe('what answers at the address', () => {
  it.each<[string, number, Record<string, string>, string, RegExp]>([
    [
      'a web page',
      200,
      { 'content-type': 'text/html' },
      '<h1>hello</h1>',
      /\(--url\) answered what no orchestrator answers .*: is an orchestrator there\? Say with --url/,
    ],
    ['something else in JSON', 200, {}, '{"success":"yes"}', /answered what no orchestrator answers \(success /],
    ['half of an answer', 200, {}, '{"success":tr', /answered what no orchestrator answers/],
    [
      'a redirect',
      301,
      { location: 'http://elsewhere.example/' },
      '',
      /answered HTTP 301 Moved Permanently, location http:\/\/elsewhere.example\//,
    ],
    ['a gateway without a server', 502, {}, 'Bad Gateway', /answered HTTP 502 Bad Gateway: try again/],
    ['a page that is not there', 404, {}, 'no', /answered HTTP 404 Not Found/],
  ])('%s is no orchestrator, and is not believed', async (_, status, headers, body, says) => {
    answer = (response) => response.writeHead(status, headers).end(body);
    const { code, stdout, stderr } = await orchestrate();
    expect([code, stdout, asked]).toEqual([1, '', 1]);
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/\n +at /);
  });

  it('may be overloaded: the message says when to try again', async () => {
    json({ title: 'overloaded', code: 'overloaded', detail: 'too much to do' }, 503, { 'retry-after': '7' });
    expect(await orchestrate()).toMatchObject({ code: 1, stderr: 'agent-orchestrator: overloaded: too much to do; try again in 7 s\n' });
  });

  it('may have tried several agents: those before are named', async () => {
    const id = '01M7ZBSG2SZ3SMERRYNBVMZE94';
    const attempts = [{ contract_id: id, agent_id: 'gone', success: false, error_code: 'agent_unreachable' }];
    const receipt = { stream: 's', seq: 4, hash: 'h' };
    const told = { success: true, data: 1, error: null, error_code: null, contract_id: 'c', agent_id: 'two', timestamp: 't', receipt };
    json({ ...told, attempts: [...attempts, { contract_id: 'c', agent_id: 'two', success: true, error_code: null }] }, 200);
    const { code, stdout } = await orchestrate();
    expect([code, stdout]).toEqual([0, expect.stringContaining(`before    gone: agent_unreachable (${id})`)]);
  });

  it('may be newer: codes and fields that are not known are told', async () => {
    json(
      {
        title: 'out of cheese',
        code: 'out_of_cheese',
        detail: 'no cheese \x1b[2J',
        errors: [
          { field: 'a', message: 'b' },
          { field: '', message: 'c' },
        ],
      },
      422,
    );
    const { stderr } = await orchestrate();
    expect(stderr).toBe('agent-orchestrator: out of cheese: no cheese \\u{1b}[2J\n  a: b\n  the body: c\n');
  });

  it('may hang up: then it is unknown whether the task was recorded, and the message says how to find out', async () => {
    answer = (response) => response.socket!.destroy();
    const plain = await orchestrate();
    expect(plain).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('whether the task was recorded is unknown: agent-orchestrator contracts "x" shows it\n'),
    });
    const keyed = await orchestrate('--key', 'k');
    expect(keyed.stderr).toMatch(/shows it, and the same --key asks for the recorded answer\n$/);
    expect(asked).toBe(2); // never twice by itself
  });

  it('may say nothing: a task is given up after its time and a grace', async () => {
    answer = () => undefined;
    const client = new OrchestratorClient({ url, from: 'the test' });
    const asking = client.orchestrate({ session_id: 'x', timeout_seconds: -14.8 }); // the grace is 15 s
    await expect(asking).rejects.toMatchObject({
      code: 'ledger_unavailable',
      message: expect.stringContaining('(it took too long); whether the task'),
    });
  });

  it('may never end: reading stops at a bound', async () => {
    const megabyte = Buffer.alloc(1024 * 1024, ' ');
    answer = (response) => {
      const more = () => {
        while (!response.destroyed && response.write(megabyte));
      };
      response.writeHead(200).on('drain', more);
      more();
    };
    expect(await orchestrate()).toMatchObject({ code: 1, stderr: expect.stringMatching(/the answer is larger than \d+ bytes/) });
  }, 60_000);

  it('is asked below the path of its address, as behind a gateway', async () => {
    let seen = '';
    answer = (response, path) => {
      seen = path;
      response.end(JSON.stringify({ contracts: [], total: 0, next_cursor: null }));
    };
    await runCommand(['contracts', 'a b&c', '--url', `${url}/team/orchestrator`]);
    expect(seen).toBe('/team/orchestrator/v1/contracts?session_id=a+b%26c&limit=100&type=REQUEST');
  });
});

describe('a session read page by page', () => {
  it('is asked for in smaller pages where contracts are large', async () => {
    const limits: number[] = [];
    answer = (response, path) => {
      const query = new URL(path, url).searchParams;
      const [limit, from] = [Number(query.get('limit')), Number(query.get('cursor') ?? 0)];
      limits.push(limit);
      if (limit > 5) return void response.writeHead(200).end(Buffer.alloc(65 * 1024 * 1024, ' '));
      const contracts = Array.from({ length: Math.min(limit, 3 - from) }, (_, i) => half(from + i + 1));
      const next = from + contracts.length;
      response.end(JSON.stringify({ contracts, total: 3, next_cursor: next < 3 ? String(next) : null }));
    };
    const { code, stdout } = await runCommand(['contracts', 'x', '--url', url]);
    expect([code, limits]).toEqual([0, [100, 10, 1, 1, 1]]);
    expect(stdout.match(/c\d/g)).toEqual(['c1', 'c2', 'c3']);
    expect(stdout).toContain('1500 ms');
  }, 60_000);

  it('is no longer followed when another ledger answers', async () => {
    json({ contracts: [half(1), half(2)], total: 2, next_cursor: null });
    const following = spawnCommand(['contracts', 'x', '--follow', '--url', url]);
    await until('it follows', () => following.stdout().includes('c2'));
    json({ contracts: [half(7)], total: 1, next_cursor: null });
    expect(await following.ended).toEqual({ code: 1, signal: null });
    expect(following.stderr()).toContain('no longer continues at contract c2, where reading stopped: this is another ledger');
  });
});

describe('events that are no whole task', () => {
  const CONTRACT = 'event: contract\ndata: {"contract_id":"c1","agent_id":"a"}\n\n';
  const RESULT = `event: result\ndata: ${JSON.stringify({ success: true, data: 1, error: null, error_code: null, contract_id: 'c1', agent_id: 'a', timestamp: 't', receipt: { stream: 's', seq: 2, hash: 'h' } })}\n\n`;
  const sends = (...parts: (string | Buffer)[]) => {
    answer = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const part of parts) response.write(part);
      response.end();
    };
  };

  it.each<[string, string[], RegExp]>([
    ['that end before the result', [CONTRACT], /did not answer to the end.*whether the task was recorded is unknown/],
    [
      'that end in an error',
      [CONTRACT, 'event: error\ndata: {"title":"ledger unavailable","status":503,"code":"ledger_unavailable","detail":"gone"}\n\n'],
      /ledger unavailable: gone; whether the task was recorded is unknown/,
    ],
    ['whose data is no JSON', ['event: result\ndata: {\n\n'], /an event "result" is none that an orchestrator sends/],
    ['whose result lacks its members', ['event: result\ndata: {"success":true}\n\n'], /an event "result" is none/],
  ])('%s end the command with 1', async (_what, parts, said) => {
    sends(...parts);
    const { code, stdout, stderr } = await orchestrate('--stream');
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(said)]);
    expect(asked).toBe(1);
  });

  it('are read whatever the pieces they come in, with events and members that are not known', async () => {
    const text = `: hello\r\n\r\nevent: weather\ndata: sunny\n\n${CONTRACT}event: delta\ndata: {"delta":"😀","more":1}\n\n${RESULT}`;
    sends(...[...Buffer.from(text)].map((byte) => Buffer.from([byte])));
    expect(await orchestrate('--stream')).toMatchObject({
      code: 0,
      stderr: 'contract c1 with a\n😀\n',
      stdout: expect.stringMatching(/^✔ success/),
    });
  });

  it('of more than 64 MiB are not held', async () => {
    sends(CONTRACT, 'event: delta\ndata: "', Buffer.alloc(65 * 1024 * 1024, 'x'));
    expect(await orchestrate('--stream')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('an event is larger than 67108864 bytes'),
    });
  }, 60_000);
});
