import request from 'supertest';
import type { MemoryBlock } from '../../src/memory/block.js';
import type { Server } from '../../src/server.system.js';
import { describeOnServer } from '../support/databases.js';
import { answers, type MessagesApi, startMessagesApi } from '../support/messages-api.js';
import { settled, start, until } from '../support/orchestrator.js';
import { anyPlace, type Place } from '../support/place.js';
import { expectSound } from '../support/sound.js';

describeOnServer('two replicas that compress one session', () => {
  let place: Place;
  let api: MessagesApi;
  let replicas: Server[];
  beforeAll(async () => {
    place = await anyPlace();
    api = await startMessagesApi();
    const settings = { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: api.url };
    replicas = await Promise.all([start(place, settings), start(place, settings)]);
  });
  afterAll(async () => {
    try {
      await settled(replicas[0]!.ledger.db);
      await expectSound(replicas[0]!.ledger.db);
    } finally {
      await Promise.all(replicas.map((replica) => replica.close()));
      await api.close();
      await place.drop();
    }
  });
  const compress = async (replica: number, session_id: string) => {
    const response = await request(replicas[replica]!.url).post('/v1/compress').send({ session_id });
    expect(response.status).toBe(200);
    return response.body as { created: boolean; memory_block: MemoryBlock };
  };

  it('at once record one block: the other gets the winner’s', async () => {
    await request(replicas[0]!.url).post('/v1/orchestrate').send({ session_id: 'both', capability: 'echo' }).expect(200);
    // Neither answer comes before both have asked, so both have a block in hand.
    const waiting: (() => void)[] = [];
    api.next((response, asked) => {
      const said = answers((contracts) => ({ sentences: [{ text: `Said.`, contracts }] }));
      waiting.push(() => said(response, asked));
      if (waiting.length === 2) for (const answer of waiting) answer();
    });
    const [first, second] = await Promise.all([compress(0, 'both'), compress(1, 'both')]);
    expect(api.asked).toHaveLength(2);
    expect([first.created, second.created].sort()).toEqual([false, true]);
    expect(first.memory_block).toEqual(second.memory_block);
    const all = await request(replicas[1]!.url).get('/v1/sessions/both/memory?all=true');
    expect(all.body.total).toBe(1);
  });

  it('while both write to it record every block on what was there before', async () => {
    api.next(answers((contracts) => ({ sentences: [{ text: 'Said.', contracts }] })));
    const write = async (i: number) => {
      await request(replicas[i % 2]!.url)
        .post('/v1/orchestrate')
        .send({ session_id: 'busy', capability: 'echo' })
        .expect(200);
    };
    const writing = Array.from({ length: 40 }, (_, i) => write(i));
    await until('it has begun', async () => (await request(replicas[0]!.url).get('/v1/contracts?session_id=busy')).body.total > 0);
    for (let i = 0; i < 6; i++) await compress(i % 2, 'busy');
    await Promise.all(writing);
    await compress(0, 'busy');
    const { memory_blocks } = (await request(replicas[1]!.url).get('/v1/sessions/busy/memory?all=true')).body as {
      memory_blocks: MemoryBlock[];
    };
    const inOrder = memory_blocks.toReversed();
    expect(inOrder.map((block) => block.from_seq)).toEqual([1, ...inOrder.slice(0, -1).map((block) => block.to_seq + 1)]);
    expect(inOrder.map((block) => block.previous_block)).toEqual([null, ...inOrder.slice(0, -1).map((block) => block.memory_block_id)]);
  }, 60_000);
});
