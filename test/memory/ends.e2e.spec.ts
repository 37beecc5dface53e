import request from 'supertest';
import type { MemoryBlock } from '../../src/memory/block.js';
import { good, hangs, type MessagesApi, startMessagesApi } from '../support/messages-api.js';
import { start, until } from '../support/orchestrator.js';
import { anyPlace, inspect, type Place } from '../support/place.js';

describe('a memory block', () => {
  let place: Place;
  let api: MessagesApi;
  beforeEach(async () => {
    place = await anyPlace();
    api = await startMessagesApi();
  });
  afterEach(async () => {
    await api.close();
    await place.drop();
  });
  const running = async () => {
    const server = await start(place, { ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: api.url });
    const echo = () => request(server.url).post('/v1/orchestrate').send({ session_id: 's', capability: 'echo' }).expect(200);
    const compress = async () =>
      (await request(server.url).post('/v1/compress').send({ session_id: 's' }).expect(200)).body.memory_block as MemoryBlock;
    const newest = async () => (await request(server.url).get('/v1/sessions/s/memory').expect(200)).body.memory_block as MemoryBlock | null;
    return { server, echo, compress, newest };
  };

  it('that is being made when the process is told to stop is given up, and nothing of it is recorded', async () => {
    const { server, echo } = await running();
    await echo();
    api.next(hangs);
    const asking = request(server.url)
      .post('/v1/compress')
      .send({ session_id: 's' })
      .then(
        (answer) => answer.status,
        () => 'cut off',
      );
    await until('the model is asked', () => api.asked.length === 1);
    const began = Date.now();
    await server.close();
    expect(Date.now() - began).toBeLessThan(5000);
    expect([503, 'cut off']).toContain(await asking);
    await until('the model is hung up on', () => api.abandoned === 1);
    expect(await inspect(place, (db) => db.query(`SELECT 1 FROM event WHERE type = 'session.compressed'`))).toEqual([]);
  });

  it('whose content was erased is passed over, and what it covered is read again', async () => {
    const { server, echo, compress, newest } = await running();
    await echo();
    api.next(good);
    const first = await compress();
    await echo();
    const second = await compress();
    const erase = (id: string) =>
      server.ledger.db.query('DELETE FROM payload WHERE event = (SELECT id FROM event WHERE event_id = $1)', [id]);
    await erase(second.memory_block_id);
    expect(await newest()).toEqual(first);
    const again = await compress();
    expect(again).toMatchObject({ from_seq: 3, previous_block: first.memory_block_id });
    await erase(again.memory_block_id);
    await erase(first.memory_block_id);
    expect(await newest()).toBeNull();
    expect(await compress()).toMatchObject({ from_seq: 1, previous_block: null, coverage: 1 });
    await server.close();
  });
});
