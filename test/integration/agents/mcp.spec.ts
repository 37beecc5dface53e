import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Progress, Stop } from '../../../src/agents/agent-client.js';
import { traceHeaders } from '../../../src/kernel/trace.js';
import { HTTP_KINDS, type Kind, type McpPeer, STDIO_KINDS, startMcp, task } from '../../support/mcp.js';
import { until } from '../../support/until.js';
import { agentPortSuite } from '../agent-port.suite.js';

const call = (peer: McpPeer, name: string, parameters = {}, more: object = {}): Promise<Answer> =>
  peer.client.call(task(name, parameters), { stop: new Stop(), trace: null, ...more });
const called = (peer: McpPeer, name: string) => peer.heard().filter((what) => what.called === name).length;

for (const kind of [...HTTP_KINDS, ...STDIO_KINDS]) {
  // Garbage comes from servers made by hand (mcp-http, mcp-stdio); progress over MCP has no deltas, see below.
  const overStreams = kind.endsWith('stdio');
  agentPortSuite(
    `over MCP, ${kind}`,
    async () => {
      const peer = await startMcp(kind);
      const { client, stop, start, close } = peer;
      return {
        client,
        cancelled: () => peer.heard().flatMap(({ cancelled }) => cancelled ?? []),
        lastId: () => peer.heard().findLast((what) => what.called)?.task,
        ...(stop && start && { stop, start }),
        close,
      };
    },
    overStreams ? ['garbage', 'progress', 'half', 'restart'] : ['garbage', 'progress'],
  );
}

describe.each<Kind>([...HTTP_KINDS, ...STDIO_KINDS])('an MCP server (%s)', (kind) => {
  let peer: McpPeer;
  beforeAll(async () => {
    peer = await startMcp(kind);
  });
  afterAll(() => peer?.close());

  it('answers with its structured content as data, its words as text and all of it as raw', async () => {
    const content = [{ type: 'text', text: '{"sum":5}' }];
    expect(await call(peer, 'add', { a: 2, b: 3 })).toEqual({
      success: true,
      data: { sum: 5 },
      text: '{"sum":5}',
      raw: expect.objectContaining({ content, structuredContent: { sum: 5 } }),
      read: expect.stringMatching(/^data: structuredContent/),
    });
  });

  it('answers without structured content with its blocks as data', async () => {
    const content = [
      { type: 'text', text: 'first' },
      { type: 'text', text: 'second' },
    ];
    const answer = await call(peer, 'two_words');
    expect(answer).toMatchObject({
      success: true,
      data: { content },
      text: 'first\nsecond',
      read: expect.stringMatching(/^data: content/),
    });
  });

  it('is not guessed at: words that look like data stay words', async () => {
    expect(await call(peer, 'json_text')).toMatchObject({
      success: true,
      data: { content: [{ type: 'text' }] },
      text: '{"looks":"like data"}',
    });
    expect(await call(peer, 'nothing')).toMatchObject({ success: true, data: { content: [] } });
  });

  it('fails where it says isError, with its words as message', async () => {
    expect(await call(peer, 'fail')).toMatchObject({
      success: false,
      code: 'agent_failed',
      message: 'no such planet',
      data: { planet: 'Vulcan' },
      raw: { isError: true },
    });
  });

  it.each([
    ['throws', /-32603.*the handler threw/],
    ['unheard_of', /-32602.*Unknown tool: unheard_of/],
  ])('fails with the words of a JSON-RPC error: %s', async (name, message) => {
    const answer = await call(peer, name);
    expect(answer).toMatchObject({ success: false, code: 'agent_failed', message: expect.stringMatching(message), raw: { error: {} } });
  });

  it('names files by size and hash and does not hand on their bytes', async () => {
    const sha256 = createHash('sha256').update('seen').digest('hex');
    const answer = await call(peer, 'gallery');
    const file = { size: 4, sha256 };
    expect(answer).toMatchObject({
      success: true,
      files: [
        { media_type: 'image/png', ...file },
        { media_type: 'audio/wav', ...file },
        { url: 'file:///a.bin', media_type: 'application/x', ...file },
        { url: 'file:///a.txt', size: 4 },
        { url: 'https://example.com/b', name: 'b', media_type: 'text/html', size: 7 },
      ],
    });
    expect(JSON.stringify(answer)).not.toContain(Buffer.from('seen').toString('base64'));
    const blocks = (answer as unknown as { data: { content: { data?: string; resource?: object; annotations?: object }[] } }).data.content;
    expect(blocks[0]).toMatchObject({ data: `sha256:${sha256}`, annotations: { priority: 1 } });
    expect(blocks[3]).toMatchObject({ resource: { text: 'read' } }); // an answer in words
  });

  it('is told the REQUEST id and the trace', async () => {
    const trace = { id: '0af7651916cd43dd8448eb211c80319c', sampled: true };
    const answer = await call(peer, 'seen', {}, { trace });
    const { traceparent } = traceHeaders(trace, 'T1');
    const headers = peer.url && { traceparent, 'idempotency-key': 'T1' };
    expect(answer).toMatchObject({
      data: { meta: { 'agent-orchestrator/task_id': 'T1', traceparent }, headers: headers ? expect.objectContaining(headers) : null },
    });
  });

  it('tells how far it is', async () => {
    const seen: Progress[] = [];
    expect(await call(peer, 'steps', {}, { progress: (progress: Progress) => seen.push(progress) })).toMatchObject({ text: 'done' });
    expect(seen).toEqual([{ status: 'step 1' }, { status: 'step 2' }]);
  });

  it('learns that a call is cancelled, whose caller waits no longer', async () => {
    const stop = new Stop();
    const answer = peer.client.call(task('hang', {}, `C-${kind}`), { stop, trace: null });
    await until('the tool hangs', () => called(peer, 'hang') > 0);
    const from = performance.now();
    stop.stop(new Error('the caller hung up'));
    expect((await answer).success).toBe(false);
    expect(performance.now() - from).toBeLessThan(900); // the server may take a second to take note
    await until('the tool knows', () => peer.heard().some((what) => what.cancelled === `C-${kind}`));
    expect(await call(peer, 'add', { a: 1, b: 1 })).toMatchObject({ data: { sum: 2 } });
  });

  it('is not asked at all if the call is cancelled before', async () => {
    const stop = new Stop();
    stop.stop(new Error('too late'));
    const before = called(peer, 'add');
    expect((await peer.client.call(task('add', { a: 1, b: 1 }), { stop, trace: null })).success).toBe(false);
    await sleep(200);
    expect(called(peer, 'add')).toBe(before);
  });

  it('is held to 4 MiB and stays usable', async () => {
    expect(await call(peer, 'huge')).toMatchObject({
      success: false,
      code: 'agent_response_too_large',
      message: expect.stringContaining('4194304'),
    });
    expect(await call(peer, 'add', { a: 1, b: 1 })).toMatchObject({ data: { sum: 2 } });
  });

  it('is held to 64 levels, and what it said instead is kept', async () => {
    const answer = await call(peer, 'deep');
    expect(answer).toMatchObject({
      success: false,
      code: 'agent_invalid_response',
      raw: { encoding: 'utf-8', data: expect.stringContaining('"value"') },
    });
  });

  it('may end in the middle of a call: the call failed, is not made again, and the next one is served', async () => {
    expect(await call(peer, 'add', { a: 1, b: 1 })).toMatchObject({ success: true });
    expect(await call(peer, 'die')).toMatchObject({ success: false, code: 'agent_unreachable' });
    expect(called(peer, 'die')).toBe(1);
    if (peer.url) {
      await peer.restart();
    } else {
      expect(await call(peer, 'add', { a: 1, b: 1 })).toMatchObject({
        success: false,
        code: 'agent_unreachable',
        message: expect.stringMatching(/not running \(it ended with code 7\); it is started again in \d s/),
      });
      await until('the peer is back', async () => (await peer.client.health()).status === 'healthy');
    }
    expect(
      await call(peer, 'add', { a: 1, b: 1 }).then((first) => (first.success ? first : call(peer, 'add', { a: 1, b: 1 }))),
    ).toMatchObject({
      data: { sum: 2 },
    });
    expect(called(peer, 'die')).toBe(1);
  });
});
