/** A whole orchestrator in this process, spoken to over real HTTP. */
import request from 'supertest';
import { readConfig } from '../../src/config.js';
import { type Log, openLog } from '../../src/kernel/log.system.js';
import type { Database } from '../../src/ledger/database.postgres.js';
import { type Server, startServer } from '../../src/server.system.js';
import { agentsFile, anyPlace, EXAMPLE, inspect, type MakePlace, MOODY, type Place } from './place.js';
import { expectSound } from './sound.js';
import { until } from './until.js';

export { until };

/** AO_TEST_LOG=debug shows what the orchestrators of a test say. */
const quiet = openLog(readConfig({ LOG_LEVEL: process.env['AO_TEST_LOG'] ?? 'silent', LOG_FORMAT: 'json' }));

/** Agents that fail on purpose go on being called. */
const NO_BREAKER = { BREAKER_FAILURES: '1000', BREAKER_WINDOW: '1000' };

/** AGENTS_FILE, like any other setting, may be given in `settings`. Agents are left alone unless a test says that they are probed. */
export async function start(place: Place, settings: Record<string, string> = {}, log: Log = quiet): Promise<Server> {
  const file = settings['AGENTS_FILE'] ?? (await agentsFile([EXAMPLE, MOODY]));
  return startServer(
    readConfig({ ...place.settings, ORCHESTRATOR_PORT: '0', PROBE_INTERVAL_SECONDS: '0', ...NO_BREAKER, ...settings, AGENTS_FILE: file }),
    log,
  );
}

/** The body of POST /v1/orchestrate, loosely: refusals are tested with it too. */
export type Body = Record<string, unknown>;

export interface Answer {
  success: boolean;
  data: unknown;
  text: string | null;
  files: unknown[];
  error: string | null;
  error_code: string | null;
  contract_id: string;
  agent_id: string | null;
  task_id: string;
  timestamp: string;
  receipt: { stream: string; seq: number; hash: string };
}

export interface Running {
  readonly server: Server;
  readonly db: Database;
  get(path: string): request.Test;
  post(path: string, body?: Body, headers?: Record<string, string>): request.Test;
  /** POST /v1/orchestrate that must answer 200. */
  orchestrate(body: Body, headers?: Record<string, string>): Promise<Answer>;
}

/** One orchestrator for all tests of the suite around; after them its ledger must be sound. */
export function running(make: MakePlace, settings: () => Promise<Record<string, string>> = async () => ({}), log?: Log): Running {
  let place: Place;
  let server: Server;
  beforeAll(async () => {
    place = await make();
    server = await start(place, await settings(), log);
  });
  afterAll(async () => {
    try {
      await server?.close(); // first: until then its workers may write, as those do that close idle sessions
      if (server) await inspect(place, expectSound);
    } finally {
      await place?.drop();
    }
  });
  const post: Running['post'] = (path, body, headers = {}) => request(server.url).post(path).set(headers).send(body);
  return {
    get server() {
      return server;
    },
    get db() {
      return server.ledger.db;
    },
    get: (path) => request(server.url).get(path),
    post,
    async orchestrate(body, headers) {
      const response = await post('/v1/orchestrate', body, headers);
      expect([response.status, response.body]).toEqual([200, expect.anything()]);
      return response.body as Answer;
    },
  };
}

/** Two replicas on one database for all tests of the suite around; after them its ledger must be sound. */
export function runningTwice(): { readonly both: readonly [Server, Server] } {
  let place: Place;
  let both: [Server, Server];
  beforeAll(async () => {
    place = await anyPlace();
    both = await Promise.all([start(place), start(place)]);
  });
  afterAll(async () => {
    try {
      await Promise.all((both ?? []).map((server) => server.close()));
      if (both) await inspect(place, expectSound);
    } finally {
      await place?.drop();
    }
  });
  return {
    get both() {
      return both;
    },
  };
}

/** Until everything appended is sequenced and followed, so that expectSound does not meet the orchestrator's own workers. */
export async function settled(db: Database): Promise<void> {
  await until('the ledger comes to rest', async () => {
    const [row] = await db.query<{ rest: boolean }>(
      `SELECT NOT EXISTS (SELECT 1 FROM pending) AND (SELECT min(f.cursor) = max(s.size) - 1 FROM follower f CROSS JOIN sequencer s) AS rest`,
    );
    return row!.rest;
  });
}
