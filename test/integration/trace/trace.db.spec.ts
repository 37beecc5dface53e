import { setTimeout as sleep } from 'node:timers/promises';
import { TraceClient } from '../../../src/integration/trace/trace.client.js';
import { TraceForwarder } from '../../../src/integration/trace/trace.follower.js';
import type { TraceMessage } from '../../../src/integration/trace/trace-message.js';
import { Appender } from '../../../src/ledger/append.worker.js';
import type { Database } from '../../../src/ledger/database.postgres.js';
import { newDisclosure, newDraft } from '../../../src/ledger/draft.system.js';
import { type FollowerRow, followers } from '../../../src/ledger/follow.postgres.js';
import { FORWARD_DEFAULTS, type ForwardSettings, ForwardWorker } from '../../../src/ledger/forward.worker.js';
import { askForRetry, parkedStreams } from '../../../src/ledger/park.postgres.js';
import { Sequencer } from '../../../src/ledger/sequence.worker.js';
import { describeEachDatabase } from '../../support/databases.js';
import { newStream, OWNER, requestDraft, responseDraft } from '../../support/intents.js';
import { answers, expectInOrder, TracePeer } from '../../support/trace-peer.js';
import { until } from '../../support/until.js';

const PAUSE_MS = 50;
const FAST: ForwardSettings = { ...FORWARD_DEFAULTS, begin: 'next', pauseMs: { first: 5, most: PAUSE_MS }, tries: 3 };

/** A multiple of 100. The gate asks for 10 000. */
const BACKLOG = Number(process.env['TRACE_BACKLOG'] ?? 1000);

describeEachDatabase('forwarding to Trace', (open) => {
  let db: Database;
  let appender: Appender;
  let peer: TracePeer;
  let worker: ForwardWorker<TraceMessage> | null = null;
  let lines: string[] = [];
  let serial = 0;

  const log = {
    info: (_: object, line: string) => void lines.push(line),
    warn: (_: object, line: string) => void lines.push(line),
  };
  const forward = async (settings: Partial<ForwardSettings> = {}, timeoutMs = 1000, url = peer.url) => {
    const client = new TraceClient({ url, timeoutMs, longestPauseMs: PAUSE_MS });
    worker = new ForwardWorker(db, new TraceForwarder(client, log), 'test', { ...FAST, ...settings });
    await worker.start();
    return worker;
  };
  /** A session under this name with so many contracts; returns the ids of its events. */
  const session = async (name: string, contracts: number): Promise<string[]> => {
    const stream = newStream();
    const ids: string[] = [];
    for (let left = contracts; left > 0; left -= 50) {
      const drafts = Array.from({ length: Math.min(50, left) }, () => requestDraft()).flatMap((request) => [
        request,
        responseDraft(request.id),
      ]);
      const opening = { tenant: 'default', name, after: null, disclosure: newDisclosure('session', name) };
      const intent = { stream, drafts, open: { owner: OWNER, seconds: 30 }, ...(left === contracts && { opening }) };
      expect((await appender.append(intent, 20_000)).refusal).toBeUndefined();
      ids.push(...drafts.map((draft) => draft.id));
    }
    return ids;
  };
  const sequenced = () => new Sequencer(db, () => worker?.kick()).drain();
  const unique = (name: string) => `${name} ${++serial}`;
  const own = async (): Promise<FollowerRow> => (await followers(db)).find(({ name }) => name === 'trace')!;
  const caughtUp = (milliseconds?: number) =>
    until('everything is forwarded', async () => (await own()).lag === 0 && (await parkedStreams(db, 'trace')).length === 0, milliseconds);
  const heldOf = async (name: string) => (await peer.events(encodeURIComponent(name))).map(({ data }) => data.event_id);
  /** Everything is there, in order, and what came twice came for a reason. */
  const expectAll = async (ids: Map<string, string[]>) => {
    const all = await peer.all();
    for (const [name, expected] of ids) expect([...new Set(all.get(name)!.map((e) => e.data.event_id))]).toEqual(expected);
    expectInOrder(all.values());
  };

  beforeAll(async () => {
    db = (await open()).db;
    appender = new Appender(db);
  });
  beforeEach(async () => {
    peer = await TracePeer.start();
    lines = [];
    await sequenced();
    await db.query('DELETE FROM parked');
    await db.query(
      `INSERT INTO follower (name, cursor) SELECT 'trace', size - 1 FROM sequencer
       ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, owner = NULL, error = NULL`,
    );
  });
  afterEach(async () => {
    await worker?.drain();
    await peer.vanish().catch(() => undefined);
  });

  it('gives every session its events in order, each once, and every REQUEST its node', async () => {
    await forward();
    const ids = new Map<string, string[]>();
    for (let i = 0; i < 10; i++) {
      const name = unique('plain');
      ids.set(name, await session(name, 5));
    }
    await sequenced();
    await caughtUp();
    for (const [name, expected] of ids) {
      expect(await heldOf(name)).toEqual(expected);
      const nodes = await peer.nodes(encodeURIComponent(name));
      expect(nodes.map((n) => n.node_id)).toEqual(expected.filter((_, i) => i % 2 === 0));
    }
    expect(lines).toEqual([]);
  });

  it('shows the call tree: a contract hangs under the one that caused it', async () => {
    await forward();
    const name = unique('tree');
    const [first] = await session(name, 1);
    const { stream } = (await db.query<{ stream: string }>('SELECT stream FROM event WHERE event_id = $1', [first]))[0]!;
    const failed = responseDraft(first!).id;
    const answered = (await db.query<{ id: string }>('SELECT event_id AS id FROM event WHERE in_reply_to = $1', [first]))[0]!.id;
    const caused = (cause: string) => newDraft('contract.request', { from: 'orchestrator', status: 'pending', cause }, {});
    const [retry, nested, orphan] = [caused(answered), caused(first!), caused(failed)]; // of a RESPONSE, of a REQUEST, of nothing recorded
    for (const draft of [retry, nested, orphan]) await appender.append({ stream, drafts: [draft], open: { owner: OWNER, seconds: 30 } });
    await sequenced();
    await caughtUp();
    expect((await peer.nodes(encodeURIComponent(name))).map(({ node_id, parent_id }) => [node_id, parent_id])).toEqual([
      [first, null],
      [retry.id, first],
      [nested.id, first],
      [orphan.id, null],
    ]);
  });

  it.each(['a/b', '..', '.', '%2E', '?q=1#x', 'ü😀 ', '../../health'])('carries a session called %j', async (name) => {
    await forward();
    const ids = await session(name, 1);
    await sequenced();
    await caughtUp();
    const sid = { '.': '%2E', '..': '%2E%2E' }[name] ?? name;
    const events = await peer.events(encodeURIComponent(sid));
    expect(events.map(({ data }) => [data.event_id, data['session_id']])).toEqual(ids.map((id) => [id, name]));
  });

  it('says nothing of an erased payload or name but that it is gone, and sends the rest', async () => {
    await forward();
    const name = unique('secret');
    const [request, response] = await session(name, 1);
    const erase = async (id: string) => db.query('DELETE FROM payload WHERE event = (SELECT id FROM event WHERE event_id = $1)', [id]);
    await erase(request!); // and with it the session's name
    await sequenced();
    await caughtUp();
    const all = await peer.all();
    expect([...all.keys()].filter((sid) => sid.includes('secret'))).toEqual([]);
    const events = [...all.values()].flat().filter(({ data }) => [request, response].includes(data.event_id));
    expect(events.map(({ data }) => data)).toEqual([
      expect.objectContaining({ event_id: request, payload: null, session_id: null, erased: true, seq: 1 }),
      expect.objectContaining({ event_id: response, result: { text: 'done' }, session_id: null, erased: true, seq: 2 }),
    ]);
  });

  it(`loses nothing of ${BACKLOG} events that happen while Trace is dead, keeps their order, and says so once`, async () => {
    await peer.vanish();
    await forward();
    const ids = new Map<string, string[]>();
    for (let i = 0; i < BACKLOG / 100; i++) {
      const name = unique('backlog');
      ids.set(name, await session(name, 50));
      if (i % 20 === 0) await sequenced();
    }
    await sequenced();
    await until('it is told', () => lines.length > 0);
    await sleep(500);
    expect(await own()).toMatchObject({ lag: BACKLOG, parked: 0, error: expect.stringContaining('ECONNREFUSED') });
    await until('the breaker opens', () => worker!.status()['breaker'] === 'open');
    expect(worker!.status()).toMatchObject({ delivered: 0 });
    await peer.appear();
    await caughtUp(60_000);
    await expectAll(ids);
    expect(peer.count('POST /v1/sessions')).toBe(BACKLOG);
    await until('it is told', () => lines.length > 1);
    expect(lines).toEqual([expect.stringContaining('Trace is away'), expect.stringContaining('Trace is back')]);
  }, 90_000);

  it('asks a Trace that is away now and then, one question at a time, and sends it nothing', async () => {
    let asking = 0;
    let most = 0;
    peer.manner = async (_, response) => {
      most = Math.max(most, ++asking);
      await sleep(20);
      asking -= 1;
      response.writeHead(503).end();
      return true;
    };
    await forward();
    for (let i = 0; i < 20; i++) await session(unique('probed'), 2);
    await sequenced();
    await until('it asks', () => peer.count('GET /v1/health') > 0 && worker!.status()['breaker'] === 'open');
    most = 0;
    const [posts, began] = [peer.count('POST'), Date.now()];
    await until('it has been probed', () => peer.count('GET /v1/health') >= 12);
    expect(peer.count('POST')).toBe(posts);
    expect(most).toBe(1);
    expect(posts).toBeLessThanOrEqual(16); // what was under way in eight lanes when it opened
    expect(Date.now() - began).toBeGreaterThanOrEqual(10 * 20); // each is awaited before the next
    peer.manner = () => false;
    await caughtUp();
  });

  it.each<[string, TracePeer['manner']]>([
    [
      'every third answer is a 500',
      (request, response) => ++serial % 3 === 0 && answers(500, '{"detail":"backend failed"}')(request, response),
    ],
    [
      'connections break off in the middle of a request',
      (request) => {
        if (++serial % 7 !== 0) return false;
        request.socket.destroy();
        return true;
      },
    ],
    [
      'now and then somebody else answers',
      (request, response) => ++serial % 5 === 0 && answers(200, '<html>Sign in</html>')(request, response),
    ],
    [
      'it takes the event and breaks off before it says so',
      (request, response) => {
        if (++serial % 6 === 0) response.writeHead = () => request.socket.destroy() as never;
        return false;
      },
    ],
  ])('loses and reorders nothing while %s', async (_, manner) => {
    await forward();
    peer.manner = manner;
    const ids = new Map<string, string[]>();
    for (let i = 0; i < 12; i++) {
      const name = unique('flapping');
      ids.set(name, await session(name, 10));
    }
    await sequenced();
    await until('it was in trouble for a while', () => peer.requests.length >= 150);
    peer.manner = () => false;
    await caughtUp();
    await expectAll(ids);
  });

  it('outlasts a Trace that comes and goes', async () => {
    await forward();
    const ids = new Map<string, string[]>();
    for (let i = 0; i < 6; i++) {
      const name = unique('tide');
      ids.set(name, await session(name, 40));
      await sequenced();
      await sleep(60);
      await peer.vanish();
      await sleep(60);
      await peer.appear();
    }
    await caughtUp(20_000);
    await expectAll(ids);
  });

  it('gives up on an answer that takes too long, and sends again', async () => {
    await forward({}, 200);
    peer.manner = async (request) => {
      request.resume();
      await sleep(5000, undefined, { ref: false });
      return true;
    };
    const name = unique('slow');
    const ids = await session(name, 1);
    await sequenced();
    await until('it is told', async () => /no answer within 200 ms/.test((await own()).error ?? ''));
    peer.manner = () => false;
    await caughtUp();
    expect(await heldOf(name)).toEqual(ids);
  });

  it('gives up on an answer that never ends', async () => {
    await forward({}, 300);
    peer.manner = (request, response) => {
      request.resume();
      response.writeHead(200);
      const drip = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(drip));
      return true;
    };
    const name = unique('drip');
    await session(name, 1);
    await sequenced();
    await until('it is told', async () => /no answer within 300 ms/.test((await own()).error ?? ''));
    peer.manner = answers(200, 'x'.repeat(1_000_000));
    await until('it is told', async () => /an answer of more than 65536 bytes/.test((await own()).error ?? ''));
    peer.manner = () => false;
    await caughtUp();
  });

  it.each([
    ['in seconds', () => '1'],
    ['as a date', () => new Date(Date.now() + 2000).toUTCString()],
  ])('waits as long as a Trace with too much to do asks %s', async (_, retryAfter) => {
    await forward();
    let first = 0;
    const times: number[] = [];
    peer.manner = (request, response) => {
      times.push(Date.now());
      if (first > 0 && Date.now() - first > 100) return false;
      first ||= Date.now();
      return answers(429, '', { 'retry-after': retryAfter() })(request, response);
    };
    const name = unique('busy');
    const ids = await session(name, 1);
    await sequenced();
    await caughtUp();
    expect(await heldOf(name)).toEqual(ids);
    expect(times.length).toBeGreaterThan(2);
    expect(times.find((at) => at > first)! - first).toBeGreaterThanOrEqual(900);
  });

  it('follows no redirect, and parks nobody for it', async () => {
    const elsewhere = await TracePeer.start();
    await forward();
    peer.manner = (request, response) => answers(307, '', { location: elsewhere.url + request.url })(request, response);
    const name = unique('redirected');
    const ids = await session(name, 2);
    await sequenced();
    await until('it is told', async () => /redirects are not followed/.test((await own()).error ?? ''));
    await sleep(300);
    expect(await own()).toMatchObject({ parked: 0, lag: 4 });
    expect(elsewhere.requests).toEqual([]);
    await elsewhere.vanish();
    peer.manner = () => false;
    await caughtUp();
    expect(await heldOf(name)).toEqual(ids);
  });

  it('parks nobody because something that is no Trace refuses everything', async () => {
    await forward();
    peer.manner = answers(404, 'no such page');
    await session(unique('lost'), 2);
    await sequenced();
    await until('it is told', async () => /is TRACE_URL right/.test((await own()).error ?? ''));
    await sleep(300);
    expect(await own()).toMatchObject({ parked: 0, lag: 4 });
    peer.manner = () => false;
    await caughtUp();
  });

  it('parks a session whose event Trace refuses, after so many tries; the others go on, and it goes on when asked', async () => {
    await forward();
    const [bad, good] = [unique('bad'), unique('good')];
    const badIds = await session(bad, 3);
    const goodIds = await session(good, 3);
    const path = `/v1/sessions/${encodeURIComponent(bad)}/events`;
    let taken = 0;
    peer.manner = (request, response) =>
      request.url === path && taken++ >= 2 && answers(422, `{"detail":"refused: ${bad}"}`)(request, response);
    await sequenced();
    await until('it is parked', async () => (await own()).parked === 1);
    expect(taken).toBe(2 + 3);
    expect(await heldOf(good)).toEqual(goodIds);
    expect(await own()).toMatchObject({ lag: 0, error: null });
    const [parked] = await parkedStreams(db, 'trace');
    expect(parked).toMatchObject({ tries: 3, retry_at: null, error: 'Trace refused the event: HTTP 422' });
    const later = unique('later');
    const laterIds = await session(later, 2);
    await sequenced();
    await until('the others go on', async () => (await heldOf(later)).length === laterIds.length);
    peer.manner = () => false;
    await askForRetry(db, 'trace');
    await caughtUp();
    expect(await heldOf(bad)).toEqual(badIds);
  });

  it('lets a session step aside whose event makes Trace break down, and brings it when that is mended', async () => {
    await forward();
    const [bad, good] = [unique('breaks it'), unique('good')];
    const badIds = await session(bad, 2);
    const path = `/v1/sessions/${encodeURIComponent(bad)}/events`;
    peer.manner = (request, response) => request.url === path && answers(500)(request, response);
    const goodIds = await session(good, 20);
    await sequenced();
    await until('the others go on', async () => (await heldOf(good)).length === goodIds.length);
    await until('it is tried again and again', () => peer.requests.filter((r) => r === `POST ${path}`).length > 5);
    expect(await own()).toMatchObject({ parked: 0, retrying: 1 });
    peer.manner = () => false;
    await caughtUp();
    expect(await heldOf(bad)).toEqual(badIds);
  });

  it('goes on without nodes where Trace has no such route, and says so once', async () => {
    await forward();
    peer.manner = (request, response) => request.url === '/v1/provenance/node' && answers(404, '{"detail":"Not Found"}')(request, response);
    const name = unique('nodeless');
    const ids = await session(name, 10);
    await sequenced();
    await caughtUp();
    expect(await heldOf(name)).toEqual(ids);
    expect(worker!.status()).toMatchObject({ provenance: false });
    expect(peer.count('POST /v1/provenance/node')).toBe(1);
    expect(lines).toEqual([expect.stringContaining('no provenance nodes')]);
  });

  it('gives way while somebody waits for this process', async () => {
    let pressed = true;
    peer.manner = async () => {
      await sleep(10);
      return false;
    };
    await forward({ pressed: () => pressed, streams: 1 });
    const name = unique('yields');
    const ids = await session(name, 30);
    await sequenced();
    await until('it goes on even so', async () => peer.count('POST') >= 3);
    const [before, began] = [peer.count('POST'), Date.now()];
    await sleep(1000);
    const share = (peer.count('POST') - before) / ((Date.now() - began) / 10);
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(0.35); // a fifth, and some tolerance
    pressed = false;
    await caughtUp();
    expect(await heldOf(name)).toEqual(ids);
  });
});
