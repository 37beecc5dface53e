/** Forwarding on a thread of its own: the thread is a real one, started from the build. */
import { join } from 'node:path';
import type { ForwardingThread } from '../../../src/integration/trace/trace-forwarding.system.js';
import { Appender } from '../../../src/ledger/append.worker.js';
import { Database } from '../../../src/ledger/database.postgres.js';
import { newDisclosure } from '../../../src/ledger/draft.system.js';
import { followers } from '../../../src/ledger/follow.postgres.js';
import { Sequencer } from '../../../src/ledger/sequence.worker.js';
import { server, testKeys } from '../../support/databases.js';
import { newStream, OWNER, requestDraft, responseDraft } from '../../support/intents.js';
import { until } from '../../support/orchestrator.js';
import { type Place, placeOf } from '../../support/place.js';
import { expectInOrder, TracePeer } from '../../support/trace-peer.js';

const BUILT = join(__dirname, '../../../dist/integration/trace/trace-forwarding.system.js');

(server ? describe : describe.skip)('the thread that forwards to Trace', () => {
  let place: Place;
  let db: Database;
  let peer: TracePeer;
  let forwarding: ForwardingThread | null = null;
  let pressed = false;
  const lines: string[] = [];
  const note = (_: object, line: string) => void lines.push(line);
  const log = { debug: note, info: note, warn: note, error: note };

  const started = async (url = peer.url) => {
    const { ForwardingThread: Built } = (await import(BUILT)) as { ForwardingThread: typeof ForwardingThread };
    const trace = { TRACE_URL: url, TRACE_TIMEOUT_SECONDS: 2, TRACE_TRIES: 3, TRACE_PAUSE_SECONDS: 0.05 };
    forwarding = new Built({ ...place.settings, MASTER_KEY_FILE: undefined, ...trace }, 'test', log, () => pressed);
    await forwarding.start();
    return forwarding;
  };
  const contract = async (name: string): Promise<string[]> => {
    const request = requestDraft();
    const drafts = [request, responseDraft(request.id)];
    const opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
    await new Appender(db).append({ stream: newStream(), drafts, open: { owner: OWNER, seconds: 30 }, opening });
    await new Sequencer(db, () => forwarding?.kick()).drain();
    return drafts.map(({ id }) => id);
  };
  const heldOf = async (name: string) => (await peer.events(encodeURIComponent(name))).map(({ data }) => data.event_id);

  beforeAll(async () => {
    place = await placeOf('PostgreSQL')!();
    db = await Database.connect({ url: place.settings.DATABASE_URL!, poolSize: 4, keys: testKeys() });
    peer = await TracePeer.start();
  });
  afterEach(async () => {
    pressed = false;
    await forwarding?.drain();
    forwarding = null;
  });
  afterAll(async () => {
    await peer.vanish();
    await db.close();
    await place.drop();
  });

  it('delivers what is appended, its payload in the clear, and says how it is', async () => {
    await contract('older');
    const thread = await started();
    expect(lines).toContainEqual(expect.stringContaining('forwarding to Trace begins here'));
    const ids = await contract('first');
    await until('both events came', async () => (await heldOf('first')).length === 2);
    expect(await heldOf('first')).toEqual(ids);
    expect((await peer.events('first'))[0]!.data).toMatchObject({ payload: { text: expect.any(String) } });
    expect(await heldOf('older')).toEqual([]);
    await until('its status tells', () => thread.status()['delivered'] === 2);
    expect(thread.status()).toMatchObject({ last_error: null, breaker: 'closed', url: peer.url });
  });

  it('goes on in another one when it ends, from where the cursor stands', async () => {
    const thread = await started();
    const inside = (thread as unknown as { thread: import('node:worker_threads').Worker }).thread;
    await inside.terminate();
    const ids = await contract('second');
    await until('both events came', async () => new Set(await heldOf('second')).size === 2);
    expect([...new Set(await heldOf('second'))]).toEqual(ids);
    expectInOrder((await peer.all()).values());
  });

  it('rests while somebody waits for the main thread, and forwards all the same', async () => {
    pressed = true;
    await started();
    const ids = await contract('third');
    await until('both events came', async () => (await heldOf('third')).length === 2);
    expect(await heldOf('third')).toEqual(ids);
  });

  it('ends when it is told, leaves its lease, and may be told twice', async () => {
    const thread = await started();
    const ids = await contract('fourth');
    await until('both events came', async () => (await heldOf('fourth')).length === 2);
    await thread.drain();
    await thread.drain();
    expect((await followers(db)).find(({ name }) => name === 'trace')).toMatchObject({ lag: 0 });
    await contract('fifth');
    expect(await heldOf('fifth')).toEqual([]);
    expect(ids).toHaveLength(2);
  });

  it('does not start on a database that is not there, and says why', async () => {
    const real = place.settings.DATABASE_URL!;
    const gone = { ...place, settings: { ...place.settings, DATABASE_URL: real.replace(/[^/]*$/, 'no_such_database') } };
    const kept = place;
    place = gone;
    try {
      await expect(started()).rejects.toMatchObject({ code: 'ledger_unavailable', message: expect.stringContaining('no_such_database') });
    } finally {
      place = kept;
    }
  });
});
