import { verifyLedger } from '../../src/audit/verify.postgres.js';
import type { MemoryBlock } from '../../src/memory/block.js';
import { running, until } from '../support/orchestrator.js';
import { describeEachPlace } from '../support/place.js';

describeEachPlace('a session that idleness closed and that went on in another stream', (make) => {
  const ao = running(make, async () => ({ AGENT_SESSION_TIMEOUT_MINUTES: '0.01' }));
  const echo = (text: string) => ao.orchestrate({ session_id: 'long', capability: 'echo', parameters: { text } });
  const compress = async () => (await ao.post('/v1/compress', { session_id: 'long' }).expect(200)).body.memory_block as MemoryBlock;
  const streams = async () => (await ao.db.query<{ earlier: string[] }>('SELECT earlier FROM session'))[0]!.earlier.length;

  /** Until the session has gone on in its next stream. */
  async function goOn(text: string) {
    const { stream } = (await echo(text)).receipt;
    await until(
      'it is closed',
      async () => (await ao.db.query(`SELECT 1 FROM event WHERE stream = $1 AND type = 'session.closed'`, [stream])).length > 0,
    );
    return stream;
  }

  it('has one memory: the blocks of its streams follow each other', async () => {
    await goOn('one');
    const first = await compress();
    await goOn('two'); // never compressed by itself
    const { receipt } = await echo('three');
    expect(await streams()).toBe(2);
    const last = await compress();
    expect(last.receipt.stream).toBe(receipt.stream);
    const { memory_blocks } = (await ao.get('/v1/sessions/long/memory?all=true')).body as { memory_blocks: MemoryBlock[] };
    expect(memory_blocks.map((block) => block.previous_block)).toEqual([memory_blocks[1]!.memory_block_id, first.memory_block_id, null]);
    for (const said of ['one', 'two', 'three']) expect(JSON.stringify(last.facts)).toContain(`Echo: ${said}`);
    expect(last.citations.map((c) => c.carried)).toEqual([true, true, false]);
    expect(await compress()).toEqual(last);
  });

  it('remembers in a new stream what the old ones said', async () => {
    const { receipt } = await ao.orchestrate({ session_id: 'long', capability: 'mirrors', context: { memory: true } });
    const { metadata } = (await ao.get('/v1/contracts?session_id=long&limit=1000')).body.contracts.find(
      (c: { metadata: { memory?: unknown } }) => c.metadata.memory,
    );
    expect(receipt.seq).toBeGreaterThan(0);
    expect(metadata.memory.memory_block_id).toEqual((await ao.get('/v1/sessions/long/memory')).body.memory_block.memory_block_id);
  });

  it('verifies, blocks and all', async () => {
    const messages = [];
    for await (const message of verifyLedger(ao.db, {})) messages.push(message);
    expect(messages.at(-1)).toMatchObject({ verdict: 'valid', findings: [] });
  });
});
