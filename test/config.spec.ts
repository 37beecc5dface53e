import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { readConfig, SETTING_NAMES } from '../src/config.js';
import { OrchestratorError } from '../src/kernel/errors.js';

/** Variable, what stands in it, and what the refusal must say is allowed. */
const BAD: [string, string, RegExp][] = [
  ['ORCHESTRATOR_PORT', 'abc', /whole number from 0 to 65535/],
  ['ORCHESTRATOR_PORT', '65536', /from 0 to 65535/],
  ['ORCHESTRATOR_PORT', '-1', /from 0 to 65535/],
  ['ORCHESTRATOR_PORT', '80.5', /whole number/],
  ['ORCHESTRATOR_PORT', 'Infinity', /whole number/],
  ['TASK_TIMEOUT_SECONDS', '0', /from 0.001 to 600/],
  ['TASK_TIMEOUT_SECONDS', '601', /from 0.001 to 600/],
  ['DATABASE_POOL', '3', /from 4 to 100/],
  ['DATABASE_POOL', '101', /from 4 to 100/],
  ['DATABASE_POOL', 'many', /whole number from 4 to 100/],
  ['IDEMPOTENCY_HOURS', '0', /from 1 to 8760/],
  ['IDEMPOTENCY_HOURS', '1.5', /whole number/],
  ['IDEMPOTENCY_HOURS', '8761', /from 1 to 8760/],
  ['AGENT_SESSION_TIMEOUT_MINUTES', '0', /from 0.01 to 525600/],
  ['TRACE_TRIES', '0', /from 1 to 100/],
  ['ANTHROPIC_MAX_INPUT_TOKENS', '0', /whole number from 1000/],
  ['ANTHROPIC_TIMEOUT_SECONDS', '0', /from 0.1 to 600/],
  ['ANTHROPIC_PRICE_INPUT', '-1', /from 0 to 1000000/],
  ['MEMAGENT_COMPRESS', 'yes', /true or false/],
  ['LOG_LEVEL', 'loud', /one of silent, error, warn, info, debug/],
  ['LOG_FORMAT', 'xml', /one of auto, json, pretty/],
  ['AGENT_NETWORKS', 'everywhere', /loopback, private and ranges such as 10.1.0.0\/16/],
  ['AGENT_NETWORKS', 'loopback,10.1.0.0/33', /ranges such as/],
  ['AGENT_NETWORKS', '10.256.0.0/16', /ranges such as/],
  ['PROBE_INTERVAL_SECONDS', '-1', /from 0 to 86400/],
  ['DISCOVERY_INTERVAL_SECONDS', 'often', /from 0 to 86400/],
  ['CHECKPOINT_INTERVAL_MS', '-1', /from 0 to 86400000/],
  ['LOG_ORIGIN', 'two words', /without spaces and plus signs/],
  ['LOG_ORIGIN', 'a+b', /without spaces and plus signs/],
  ['LOG_ENTRIES', 'all', /one of off, operator, public/],
  ['ANCHOR_INTERVAL_SECONDS', '0', /from 1 to 86400/],
  ['ANCHOR_WITNESSES', 'https://witness.example', /a verifier key of a witness and its URL/],
  ['ANCHOR_WITNESSES', 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW https://w.example', /of a witness/],
];

const SECRET = [
  'mysql://me:hunter2@db.example.com/ledger',
  'me:hunter2@db.example.com/ledger',
  'hunter2',
  'http://hunter2',
  'postgres//me:hunter2@db',
];

function refusal(env: Record<string, string>): OrchestratorError {
  try {
    readConfig(env);
  } catch (error) {
    return error as OrchestratorError;
  }
  throw new Error(`was not refused: ${JSON.stringify(env)}`);
}

describe('the configuration', () => {
  it.each(BAD)('refuses %s=%s, naming variable, value and what is allowed', (name, value, allowed) => {
    const error = refusal({ [name]: value });
    expect(error).toBeInstanceOf(OrchestratorError);
    expect(error.code).toBe('bad_configuration');
    expect(error.message).toContain(`${name}=${value}: `);
    expect(error.message.slice(error.message.indexOf(`${name}=${value}: `) + name.length + value.length)).toMatch(allowed);
    expect(error.message).not.toContain('\n');
  });

  it.each(['nowhere', 'ftp://trace', 'http://trace/?key=1', 'Off'])('refuses TRACE_URL=%s, and does not echo it', (value) => {
    expect(refusal({ TRACE_URL: value }).message).toMatch(/TRACE_URL=…: must (be off, or a URL like|have no query)/);
  });

  it.each(['ftp://api', 'https://me:secret@gateway.example', 'https://gateway.example/?key=secret'])(
    'refuses ANTHROPIC_BASE_URL=%s, which errors would quote, and does not echo it',
    (value) => {
      const { message } = refusal({ ANTHROPIC_BASE_URL: value });
      expect(message).toMatch(/ANTHROPIC_BASE_URL=…: must (be an http|have no user)/);
      expect(message).not.toContain('secret');
    },
  );

  it('takes off, or a URL, for TRACE_URL', () => {
    for (const TRACE_URL of ['off', 'http://localhost:8787', 'https://me:pw@trace.example.com/base/']) {
      expect(readConfig({ TRACE_URL })).toMatchObject({ TRACE_URL });
    }
  });

  it('names everything that is wrong at once', () => {
    const { message } = refusal({ ORCHESTRATOR_PORT: 'x', DATABASE_POOL: '0', HOST: '127.0.0.1', IDEMPOTENCY_HOURS: 'y' });
    for (const wrong of ['ORCHESTRATOR_PORT=x', 'DATABASE_POOL=0', 'IDEMPOTENCY_HOURS=y']) expect(message).toContain(wrong);
    expect(message).not.toContain('HOST');
  });

  it.each(SECRET)('does not echo what may be a secret (%s)', (value) => {
    const { message } = refusal({ DATABASE_URL: value });
    expect(message).toMatch(/DATABASE_URL=.*postgres:\/\/user:password@host/);
    expect(message).not.toContain('hunter2');
  });

  it('is documented: .env.example names every setting, and nothing else', () => {
    const text = readFileSync(join(__dirname, '../.env.example'), 'utf8');
    const named = [...text.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    expect(named.sort()).toEqual(SETTING_NAMES.toSorted());
    expect(readConfig(parseEnv(text) as Record<string, string>)).toEqual(readConfig({})); // and what it shows is the default
  });

  it('has a default for everything', () => {
    expect(readConfig({})).toEqual({
      ORCHESTRATOR_PORT: 8888,
      HOST: '127.0.0.1',
      REQUIRE_AUTH: false,
      TASK_TIMEOUT_SECONDS: 30,
      DATABASE_POOL: 10,
      DATA_DIR: './data/ledger',
      IDEMPOTENCY_HOURS: 24,
      CHECKPOINT_INTERVAL_MS: 1000,
      LOG_ENTRIES: 'off',
      ANCHOR_INTERVAL_SECONDS: 60,
      AGENTS_FILE: './data/agents.json',
      TRACE_TIMEOUT_SECONDS: 10,
      TRACE_TRIES: 5,
      TRACE_PAUSE_SECONDS: 30,
      ANTHROPIC_BASE_URL: 'https://api.anthropic.com',
      ANTHROPIC_MODEL: 'claude-sonnet-5-5',
      ANTHROPIC_MAX_INPUT_TOKENS: 150_000,
      ANTHROPIC_MAX_OUTPUT_TOKENS: 8192,
      ANTHROPIC_TIMEOUT_SECONDS: 120,
      ANTHROPIC_MAX_RETRIES: 2,
      MEMAGENT_URL: 'off',
      MEMAGENT_COMPRESS: false,
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'auto',
      AGENT_NETWORKS: ['loopback'],
      MAX_CONCURRENT_REQUESTS: 100,
      TASK_ATTEMPTS: 3,
      AGENT_QUEUE: 100,
      BREAKER_FAILURES: 5,
      BREAKER_SHARE: 0.5,
      BREAKER_WINDOW: 20,
      BREAKER_PAUSE_SECONDS: 60,
      BREAKER_PATIENCE_SECONDS: 1,
      PROBE_INTERVAL_SECONDS: 15,
      DISCOVERY_INTERVAL_SECONDS: 30,
      ROUTING_STRATEGY: 'hybrid',
      ROUTING_CONFIDENCE: 0.7,
      ROUTING_CANDIDATES: 20,
      ROUTING_TIMEOUT_SECONDS: 10,
      BALANCING: 'weighted_round_robin',
      BALANCING_SCOPE: 'capability',
    });
  });

  it.each(['', ' ', '\t', undefined])('takes %p for unset', (nothing) => {
    const names = [...Object.keys(readConfig({})), 'DATABASE_URL', 'AGENT_SESSION_TIMEOUT_MINUTES'];
    expect(readConfig(Object.fromEntries(names.map((name) => [name, nothing])))).toEqual(readConfig({}));
  });

  it('reads what is given, and nothing it does not know', () => {
    const env = {
      ORCHESTRATOR_PORT: '0',
      DATABASE_URL: 'postgresql://me@db/ledger?sslmode=require',
      AGENT_SESSION_TIMEOUT_MINUTES: '0.5',
      PATH: '/bin',
    };
    expect(readConfig(env)).toEqual({
      ...readConfig({}),
      ORCHESTRATOR_PORT: 0,
      DATABASE_URL: 'postgresql://me@db/ledger?sslmode=require',
      AGENT_SESSION_TIMEOUT_MINUTES: 0.5,
    });
  });

  it('is frozen', () => {
    const config = readConfig({}) as { ORCHESTRATOR_PORT: number };
    expect(() => {
      config.ORCHESTRATOR_PORT = 1;
    }).toThrow(TypeError);
    expect(config.ORCHESTRATOR_PORT).toBe(8888);
  });
});
