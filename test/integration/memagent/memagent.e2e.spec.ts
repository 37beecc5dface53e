import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MemoryBlock } from '../../../src/memory/block.js';
import { type MemAgent, startMemAgent } from '../../support/memagent.js';
import { type Running, running, until } from '../../support/orchestrator.js';
import { anyPlace } from '../../support/place.js';

async function compressed(ao: Running, session_id: string, text: string): Promise<MemoryBlock> {
  await ao.orchestrate({ session_id, capability: 'echo', parameters: { text } });
  return (await ao.post('/v1/compress', { session_id }).expect(200)).body.memory_block;
}

const memagentOf = async (ao: Running, session: string) =>
  (await ao.get(`/v1/sessions/${encodeURIComponent(session)}/memory`).expect(200)).body.memory_block.memagent as string;

describe('MemAgent', () => {
  let peer: MemAgent;
  const ao = running(anyPlace, async () => {
    peer = await startMemAgent();
    return { MEMAGENT_URL: peer.url, MEMAGENT_COMPRESS: 'true' };
  });
  afterAll(() => peer?.kill());

  it('gets every statement of a block as a note with its contracts, soon after it was made', async () => {
    const block = await compressed(ao, 'chat', 'hello');
    expect(block.memagent).toBe('waiting');
    await until('MemAgent has it', async () => (await memagentOf(ao, 'chat')) === 'delivered');
    const { user_notes } = (await peer.block('session_chat'))!;
    const [fact] = block.facts;
    expect(user_notes).toContain(`fact: ${fact!.text} [${fact!.contracts[0]}]`);
    expect(user_notes).toHaveLength(block.sentences.length + block.key_decisions.length + block.facts.length);
  });

  it('gets of the next block only what it does not have yet', async () => {
    await compressed(ao, 'session_twice', 'one');
    await compressed(ao, 'session_twice', 'two');
    await until('MemAgent has both', async () => (await memagentOf(ao, 'session_twice')) === 'delivered');
    const { user_notes } = (await peer.block('session_twice'))!;
    expect(new Set(user_notes).size).toBe(user_notes.length);
    expect(user_notes.filter((note) => note.includes('Echo: one'))).toHaveLength(1);
    expect(user_notes.filter((note) => note.includes('Echo: two'))).toHaveLength(1);
  });

  it('gets no note longer than it takes, and no id that it could not store', async () => {
    const block = await compressed(ao, '../../etc/passwd', 'x'.repeat(2000));
    await until('MemAgent has it', async () => (await memagentOf(ao, '../../etc/passwd')) === 'delivered');
    const stream = block.receipt.stream.split('/').at(-1);
    const { user_notes } = (await peer.block(`session_${stream}`))!;
    expect(Math.max(...user_notes.map((note) => note.length))).toBeLessThanOrEqual(500);
    expect(user_notes.filter((note) => note.startsWith('fact:'))).toHaveLength(1);
  });

  it('that is away keeps nobody from compressing, and gets everything once it is back', async () => {
    await peer.kill();
    const blocks = [await compressed(ao, 'away', 'one'), await compressed(ao, 'away', 'two')];
    expect(blocks.map((block) => block.memagent)).toEqual(['waiting', 'waiting']);
    const status = async () => (await ao.get('/v1/status')).body.integrations.memagent;
    await until('its absence shows in the status', async () => (await status()).status === 'unavailable');
    expect(await status()).toMatchObject({ url: peer.url, last_error: expect.stringContaining('MemAgent cannot be had') });
    await peer.startAgain();
    await until('MemAgent has it', async () => (await memagentOf(ao, 'away')) === 'delivered', 20_000);
    const { user_notes } = (await peer.block('session_away'))!;
    expect(user_notes.filter((note) => /Echo: (one|two)/.test(note))).toHaveLength(2);
  }, 40_000);
});

describe('a MemAgent that answers badly', () => {
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const heard: string[] = [];
  const server = createServer((request, response) => {
    request.resume();
    heard.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  const ao = running(anyPlace, async () => {
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return { MEMAGENT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  const status =
    (code: number, body: unknown = {}) =>
    (_: IncomingMessage, response: ServerResponse) =>
      void response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));

  it('but knows the session (409) and says nothing of its notes is sent all of them', async () => {
    answer = (request, response) => status(request.url!.endsWith('/init') ? 409 : request.method === 'GET' ? 404 : 200)(request, response);
    await compressed(ao, 'known', 'x');
    await until('it has it', async () => (await memagentOf(ao, 'known')) === 'delivered');
    expect(heard.filter((line) => line === 'POST /v1/session/session_known/note').length).toBeGreaterThan(0);
    expect(heard.filter((line) => line.endsWith('/compress'))).toEqual([]); // not asked for
  });

  it('and refuses for good (422) has this session set aside, and no other, until somebody asks for it', async () => {
    let refuses = true;
    answer = (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () =>
        status(refuses && body.includes('session_poison') ? 422 : request.url!.endsWith('/memory-block') ? 404 : 200)(request, response),
      );
    };
    await compressed(ao, 'poison', 'x');
    await compressed(ao, 'healthy', 'x');
    await until('the other has it', async () => (await memagentOf(ao, 'healthy')) === 'delivered', 20_000);
    await until('it was refused often enough', async () => (await memagentOf(ao, 'poison')) === 'refused', 20_000);
    const { integrations } = (await ao.get('/v1/status')).body;
    expect(integrations).toMatchObject({ memagent: { status: 'degraded', parked: 1 }, all_healthy: false });
    refuses = false;
    expect((await ao.post('/v1/memagent/retry-parked', { session_id: 'healthy' }).expect(200)).body).toEqual({ retried: 0 });
    await ao.post('/v1/memagent/retry-parked', { session_id: 'nobody' }).expect(404);
    expect((await ao.post('/v1/memagent/retry-parked').expect(200)).body).toEqual({ retried: 1 });
    await until('it has it', async () => (await memagentOf(ao, 'poison')) === 'delivered', 20_000);
  }, 60_000);

  it('because it is no MemAgent at all (404) sets nobody aside: everything waits', async () => {
    answer = status(404);
    await compressed(ao, 'nobody there', 'x');
    await compressed(ao, 'nor here', 'x');
    const memagent = async () => (await ao.get('/v1/status')).body.integrations.memagent;
    await until('it counts as away', async () => (await memagent()).status === 'unavailable');
    expect(await memagent()).toMatchObject({ parked: 0, last_error: expect.stringContaining('health check answered HTTP 404') });
    answer = (request, response) => status(request.url!.endsWith('/memory-block') ? 404 : 200)(request, response);
    for (const name of ['nobody there', 'nor here'])
      await until('it has it', async () => (await memagentOf(ao, name)) === 'delivered', 20_000);
  }, 60_000);

  it.each([
    ['500s', 500],
    ['429s', 429],
    ['redirects', 302],
  ])(
    'and answers %s is asked for its health first, at /health where /v1/health is not known, and tried again',
    async (name, code) => {
      let failing = true;
      answer = (request, response) => {
        if (request.url === '/v1/health') return status(404)(request, response);
        if (request.url === '/health' || !failing) return status(request.url!.endsWith('/memory-block') ? 404 : 200)(request, response);
        return status(code)(request, response);
      };
      heard.length = 0;
      await compressed(ao, name, 'x');
      await until('its health was asked for', () => heard.includes('GET /health'), 20_000);
      expect(await memagentOf(ao, name)).not.toBe('delivered');
      failing = false;
      await until('it has it', async () => (await memagentOf(ao, name)) === 'delivered', 20_000);
    },
    60_000,
  );
});
