import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import supertest from 'supertest';
import { request as raw } from 'undici';
import { Database } from '../../src/ledger/database.postgres.js';
import type { Server } from '../../src/server.system.js';
import { server as postgres } from '../support/databases.js';
import { nap } from '../support/nap.js';
import { type Answer, type Body, running, settled, start, until } from '../support/orchestrator.js';
import { anyPlace, describeEachPlace, type Place } from '../support/place.js';
import { openProxy } from '../support/proxy.js';
import { countEvents } from '../support/recorded.js';

const NAMES = {
  agent_orchestrator_active_agents: 'gauge',
  agent_orchestrator_total_sessions: 'gauge',
  agent_orchestrator_session_duration_seconds: 'histogram',
  agent_orchestrator_task_success_rate: 'gauge',
  agent_orchestrator_requests_total: 'counter',
  agent_orchestrator_errors_total: 'counter',
  agent_orchestrator_request_duration_seconds: 'histogram',
  agent_orchestrator_append_duration_seconds: 'histogram',
  agent_orchestrator_append_batch_events: 'histogram',
  agent_orchestrator_agent_call_duration_seconds: 'histogram',
  agent_orchestrator_tasks_in_flight: 'gauge',
  agent_orchestrator_tasks_waiting: 'gauge',
  agent_orchestrator_retries_total: 'counter',
  agent_orchestrator_agent_breaker: 'gauge',
  agent_orchestrator_open_requests: 'gauge',
  agent_orchestrator_sequencer_pending_events: 'gauge',
  agent_orchestrator_follower_lag_events: 'gauge',
  agent_orchestrator_follower_lag_seconds: 'gauge',
  agent_orchestrator_follower_parked_streams: 'gauge',
  agent_orchestrator_dispatching: 'gauge',
  agent_orchestrator_up_database: 'gauge',
  agent_orchestrator_build_info: 'gauge',
};

/** Those the process knows only from its database. */
const FROM_DATABASE =
  /^agent_orchestrator_(total_sessions|task_success_rate|open_requests|sequencer_pending_events|follower_lag_events|follower_lag_seconds|follower_parked_streams)/;

interface Scrape {
  readonly types: Record<string, string>;
  /** By name{labels in the order of their names}. */
  readonly samples: Map<string, number>;
}

/** The text format of Prometheus, version 0.0.4. Throws at a line that is none. */
function parse(text: string): Scrape {
  const types: Record<string, string> = {};
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\w+) (gauge|counter|histogram)$/.exec(line);
    if (type) {
      types[type[1]!] = type[2]!;
      continue;
    }
    const sample = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    const name = sample?.[1]?.replace(/_(bucket|sum|count)$/, (suffix, _s, _o, whole: string) => (whole in types ? suffix : ''));
    if (!sample || !name || !(name in types)) throw new Error(`not in the text format: ${line}`);
    const labels = (sample[2]?.match(/\w+="[^"]*"/g) ?? []).sort().join(',');
    const key = labels ? `${sample[1]}{${labels}}` : sample[1]!;
    if (samples.has(key)) throw new Error(`stands there twice: ${key}`);
    samples.set(key, Number(sample[3]));
  }
  return { types, samples };
}

/** Seconds from a stream's first event to the last one before its closing, as the record has them. */
async function lasted(db: Database, stream: string): Promise<number> {
  const [truth] = await db.query<{ seconds: number }>(
    `SELECT extract(epoch FROM max(time::timestamptz) - min(time::timestamptz))::float8 AS seconds FROM event WHERE stream = $1 AND type <> 'session.closed'`,
    [stream],
  );
  return truth!.seconds;
}

async function scrape(url: string): Promise<Scrape> {
  const { status, headers, text } = await supertest(url).get('/metrics');
  expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
  return parse(text);
}

/** What has changed under these names. */
function moved(before: Scrape, after: Scrape, names: RegExp): Record<string, number> {
  const rows = [...after.samples].map(([key, value]) => [key, value - (before.samples.get(key) ?? 0)] as const);
  return Object.fromEntries(rows.filter(([key, by]) => names.test(key) && by !== 0));
}

const own = (name: string) => `agent_orchestrator_${name}`;

describeEachPlace('GET /metrics', (make) => {
  const ao = running(make);
  const look = () => scrape(ao.server.url);

  it('has these names and types, and beside them what Node and the process say of themselves', async () => {
    const { types } = await look();
    expect(Object.fromEntries(Object.entries(types).filter(([name]) => name.startsWith('agent_orchestrator')))).toEqual(NAMES);
    for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds']) {
      expect(types).toHaveProperty(name);
    }
  });

  it('counts requests, errors, calls, appends and events by exactly what was done', async () => {
    const { contract_id } = await ao.orchestrate({ session_id: 'counted', capability: 'mirrors' });
    await settled(ao.db);
    const [before, events] = [await look(), await countEvents(ao.db)];
    for (let i = 0; i < 3; i++) await ao.orchestrate({ session_id: 'counted', capability: 'mirrors' });
    await ao.orchestrate({ session_id: 'counted', capability: 'refuses' });
    await ao.orchestrate({ session_id: 'counted', capability: 'throws-at-once' });
    await ao.orchestrate({ session_id: 'counted', capability: 'nobody-offers-this' });
    await ao.post('/v1/orchestrate', { session_id: 'counted' }).expect(400);
    for (let i = 0; i < 2; i++) await ao.get(`/v1/contracts/${contract_id}`).expect(200);
    for (let i = 0; i < 5; i++) await ao.get(`/v1/nothing/${i}?${i}`).expect(404);
    await ao.get('/v1/contracts/%ZZ').expect(400);
    const after = await look();

    expect(moved(before, after, /requests_total/)).toEqual({
      [own('requests_total{method="POST",route="/v1/orchestrate",status="200"}')]: 6,
      [own('requests_total{method="POST",route="/v1/orchestrate",status="400"}')]: 1,
      [own('requests_total{method="GET",route="/v1/contracts/:id",status="200"}')]: 2,
      [own('requests_total{method="GET",route="unknown",status="404"}')]: 5,
      [own('requests_total{method="GET",route="unknown",status="400"}')]: 1,
      [own('requests_total{method="GET",route="/metrics",status="200"}')]: 1,
    });
    expect(moved(before, after, /request_duration_seconds_count/)).toEqual({
      [own('request_duration_seconds_count{method="POST",route="/v1/orchestrate"}')]: 7,
      [own('request_duration_seconds_count{method="GET",route="/v1/contracts/:id"}')]: 2,
      [own('request_duration_seconds_count{method="GET",route="unknown"}')]: 6,
      [own('request_duration_seconds_count{method="GET",route="/metrics"}')]: 1,
    });
    expect(moved(before, after, /errors_total/)).toEqual({
      [own('errors_total{code="agent_failed"}')]: 1,
      [own('errors_total{code="agent_threw"}')]: 1,
      [own('errors_total{code="no_agent"}')]: 1,
      [own('errors_total{code="invalid_request"}')]: 2,
      [own('errors_total{code="not_found"}')]: 5,
    });
    expect(moved(before, after, /call_duration_seconds_count/)).toEqual({
      [own('agent_call_duration_seconds_count{agent="moody",outcome="completed"}')]: 3,
      [own('agent_call_duration_seconds_count{agent="moody",outcome="failed"}')]: 2,
    });
    // A REQUEST and a RESPONSE each, both in one append where nobody was called.
    expect(moved(before, after, /append_duration_seconds_count/)).toEqual({ [own('append_duration_seconds_count')]: 11 });
    expect(moved(before, after, /append_batch_events_(sum|count)/)).toEqual({
      [own('append_batch_events_count')]: 11,
      [own('append_batch_events_sum')]: 12,
    });
    expect((await countEvents(ao.db)) - events).toBe(12);
  });

  it('counts events that share a statement as one batch', async () => {
    const before = await look();
    await Promise.all(Array.from({ length: 30 }, (_, i) => ao.orchestrate({ session_id: `many ${i}`, capability: 'mirrors' })));
    const by = moved(before, await look(), /append_(batch_events|duration_seconds)_(sum|count)/);
    expect([by[own('append_batch_events_sum')], by[own('append_duration_seconds_count')]]).toEqual([60, 60]);
    expect(by[own('append_batch_events_count')]).toBeLessThan(60);
  });

  it('measures how long an agent took', async () => {
    const before = await look();
    await ao.orchestrate({ session_id: 'slow', capability: 'sleeps', parameters: { ms: 300 } });
    const by = moved(before, await look(), /call_duration_seconds_sum/);
    const seconds = by[own('agent_call_duration_seconds_sum{agent="moody",outcome="completed"}')];
    expect(seconds).toBeGreaterThanOrEqual(0.295);
    expect(seconds).toBeLessThan(5);
  });

  it('shows what is under way', async () => {
    const { parameters, begun, wake } = await nap();
    const working = ao.orchestrate({ session_id: 'under way', capability: 'sleeps', parameters });
    await begun();
    const during = (await look()).samples;
    await wake();
    await working;
    const after = (await look()).samples;
    for (const name of ['tasks_in_flight', 'open_requests']) expect([during.get(own(name)), after.get(own(name))]).toEqual([1, 0]);
  });

  it('shows what the database knows as the events have it', async () => {
    await settled(ao.db);
    const { samples } = await look();
    const [truth] = await ao.db.query<{ sessions: number; rate: number }>(
      `SELECT count(*) FILTER (WHERE seq = 1 AND stream LIKE '%/session/%') AS sessions,
              (count(*) FILTER (WHERE type = 'contract.response' AND status = 'completed'))::float8
                / count(*) FILTER (WHERE type = 'contract.response' AND status IN ('completed', 'failed')) AS rate FROM event`,
    );
    expect(truth!.rate).toBeLessThan(1);
    expect(samples.get(own('total_sessions'))).toBe(truth!.sessions);
    expect(samples.get(own('task_success_rate'))).toBeCloseTo(truth!.rate, 10);
    expect(samples.get(own('active_agents'))).toBe(2);
    for (const name of [
      'sequencer_pending_events',
      'follower_lag_events{follower="tallies"}',
      'follower_lag_seconds{follower="tallies"}',
    ]) {
      expect([name, samples.get(own(name))]).toEqual([name, 0]);
    }
    expect(samples.get(own('follower_parked_streams{follower="tallies"}'))).toBe(0);
    expect([samples.get(own('up_database')), samples.get(own('dispatching'))]).toEqual([1, 1]);
    expect(samples.get(own(`build_info{node="${process.version}",version="0.1.0"}`))).toBe(1);
  });

  it('measures a session from its first event to the last one before its closing, once', async () => {
    const answer = await ao.orchestrate({ session_id: 'lasts', capability: 'sleeps', parameters: { ms: 400 } });
    await until('some time has passed', () => Date.now() > Date.parse(answer.timestamp) + 300); // is not counted
    const before = await look();
    await ao.post('/v1/sessions/lasts/close').expect(200);
    await ao.post('/v1/sessions/lasts/close').expect(409);
    const by = await untilMoved(before, /session_duration_seconds_(sum|count)/);
    const seconds = await lasted(ao.db, answer.receipt.stream);
    expect(by[own('session_duration_seconds_count')]).toBe(1);
    expect(by[own('session_duration_seconds_sum')]).toBeCloseTo(seconds, 3);
    expect(seconds).toBeGreaterThanOrEqual(0.395);
  });

  it('counts a caller who hung up as 499, once', async () => {
    const before = await look();
    const { parameters, begun, wake } = await nap();
    const patience = new AbortController();
    const body = JSON.stringify({ session_id: 'impatient', capability: 'sleeps', parameters });
    const asked = raw(`${ao.server.url}/v1/orchestrate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: patience.signal,
    });
    await begun();
    patience.abort();
    await expect(asked).rejects.toThrow();
    const series = own('requests_total{method="POST",route="/v1/orchestrate",status="499"}');
    expect(await untilMoved(before, /requests_total.*orchestrate/)).toEqual({ [series]: 1 });
    await wake();
    await until('the agent is done', async () => (await look()).samples.get(own('tasks_in_flight')) === 0);
    expect(moved(before, await look(), /requests_total.*orchestrate/)).toEqual({ [series]: 1 });
  });

  async function untilMoved(before: Scrape, names: RegExp): Promise<Record<string, number>> {
    let by: Record<string, number> = {};
    await until(`${names.source} moves`, async () => {
      by = moved(before, await look(), names);
      return Object.keys(by).length > 0;
    });
    return by;
  }
});

describe('GET /metrics of one of several orchestrators', () => {
  let place: Place;
  const servers: Server[] = [];
  const started = async (settings: Record<string, string> = {}) => {
    const server = await start(place, settings);
    servers.push(server);
    return server;
  };
  beforeEach(async () => {
    place = await anyPlace();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
    await place.drop();
  });
  const orchestrate = async ({ url }: Server, body: Body) =>
    (await supertest(url).post('/v1/orchestrate').send(body).expect(200)).body as Answer;

  it('leaves out the wait of a session that idleness closed', async () => {
    const server = await started({ AGENT_SESSION_TIMEOUT_MINUTES: '0.02' });
    const { receipt } = await orchestrate(server, { session_id: 'idle', capability: 'mirrors' });
    let { samples } = await scrape(server.url);
    await until('the session is closed', async () => {
      ({ samples } = await scrape(server.url));
      return samples.get(own('session_duration_seconds_count')) === 1;
    });
    expect(samples.get(own('session_duration_seconds_sum'))).toBeCloseTo(await lasted(server.ledger.db, receipt.stream), 3);
  });

  (postgres ? it : it.skip)('has numbers of its own; closings add up over replicas, sessions are the same on each', async () => {
    const replicas = [await started(), await started()];
    for (let i = 0; i < 6; i++) {
      const [one, other] = i % 3 === 0 ? replicas : [...replicas].reverse();
      await orchestrate(one!, { session_id: `s${i}`, capability: 'mirrors' });
      await supertest(other!.url).post(`/v1/sessions/s${i}/close`).expect(200);
    }
    await settled(replicas[0]!.ledger.db);
    let scrapes: Scrape[] = [];
    const sum = (name: string) => scrapes.reduce((total, { samples }) => total + (samples.get(own(name)) ?? 0), 0);
    await until('all closings are measured', async () => {
      scrapes = await Promise.all(replicas.map(({ url }) => scrape(url)));
      return sum('session_duration_seconds_count') === 6;
    });
    const tasks = 'requests_total{method="POST",route="/v1/orchestrate",status="200"}';
    expect(scrapes.map(({ samples }) => samples.get(own(tasks)))).toEqual([2, 4]);
    expect(scrapes.map(({ samples }) => samples.get(own('session_duration_seconds_count')))).toEqual([4, 2]);
    expect(scrapes.map(({ samples }) => samples.get(own('total_sessions')))).toEqual([6, 6]);
  });

  (postgres ? it : it.skip)('answers without the database in time, says so, and shows nothing stale', async () => {
    const proxy = await openProxy(place.settings.DATABASE_URL!);
    const server = await start({ ...place, settings: { ...place.settings, DATABASE_URL: proxy.url } });
    const look = async () => {
      const since = Date.now();
      const { samples } = await scrape(server.url);
      const known = [...samples.keys()].filter((key) => FROM_DATABASE.test(key)).length;
      return { up: samples.get(own('up_database')), agents: samples.get(own('active_agents')), known, ms: Date.now() - since };
    };
    try {
      await orchestrate(server, { session_id: 's', capability: 'mirrors' });
      await settled(server.ledger.db);
      expect(await look()).toMatchObject({ up: 1, agents: 2, known: 7 });

      proxy.open(false);
      const away = await look();
      expect(away).toMatchObject({ up: 0, agents: 2, known: 0 });
      expect(away.ms).toBeLessThan(8000); // Prometheus waits ten seconds
      proxy.open(true);
      await until('the database is back', async () => (await look()).up === 1);

      // It is there but hangs, and ten ask at once.
      const holder = await Database.connect({ url: place.settings.DATABASE_URL!, poolSize: 4 });
      try {
        await holder.transaction(async (tx) => {
          await tx.query('LOCK TABLE contract_tally IN ACCESS EXCLUSIVE MODE');
          const all = await Promise.all(Array.from({ length: 10 }, look));
          for (const each of all) {
            expect(each).toMatchObject({ up: 0, agents: 2, known: 0 });
            expect(each.ms).toBeGreaterThan(1900);
            expect(each.ms).toBeLessThan(8000);
          }
          const [waiting] = await tx.query<{ n: number }>(
            `SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock'`,
          );
          expect(waiting!.n).toBeLessThanOrEqual(1); // one reading for all of them
        });
      } finally {
        await holder.close();
      }
      await until('it answers again', async () => (await look()).up === 1);
    } finally {
      await server.close();
      await proxy.close();
    }
  });
});

it('docs/operations.md explains every metric there is, and no other', async () => {
  const text = await readFile(join(__dirname, '../../docs/operations.md'), 'utf8');
  const rows = text.match(/(?<=^\| `)agent_orchestrator_\w+/gm);
  expect(rows?.sort()).toEqual(Object.keys(NAMES).sort());
  const mentioned = (text.match(/agent_orchestrator_\w+/g) ?? []).map((name) => name.replace(/_(bucket|sum|count)$/, ''));
  expect(mentioned.filter((name) => !(name in NAMES))).toEqual([]);
});
