/** What orchestrate.mjs compares: each variant is a set of URLs that take POST /v1/orchestrate, with the processes and databases behind them. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freshDatabase, migrate } from './database.mjs';
import { sleep } from './numbers.mjs';
import { cpuOf, cpuOfDatabase, helper, orchestrator } from './processes.mjs';

export const MEANING = {
  bare: 'Fastify passes the call on, no record',
  naive: 'the same with one committed INSERT before and one after',
  floor: 'NestJS, and the rows of both contracts hashed, sealed and written in plain batches: no chain, order, routing or recovery',
  postgres: 'the orchestrator on PostgreSQL',
  unsigned: 'the same without tree and checkpoints',
  unsealed: 'the same with MASTER_KEY=off',
  unproven: 'the same without any of these three',
  embedded: 'the orchestrator on the embedded database',
  replicas: 'two replicas on one PostgreSQL, clients split',
};

export async function writeAgentsFile(directory, endpoint) {
  const agent = {
    agent_id: 'bench-agent',
    name: 'Bench agent',
    version: '1.0.0',
    protocol: 'http',
    endpoint,
    capabilities: [{ name: 'echo' }],
  };
  const file = join(directory, 'agents.json');
  await writeFile(file, JSON.stringify({ agents: [agent] }));
  return file;
}

/** `profile`: the orchestrator writes a .cpuprofile there when it ends. `database`: an existing one. */
export async function startVariant(name, { options, agent, directory, profile, database: existing }) {
  const execArgv = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`, '--cpu-prof-interval=500'] : [];
  const AGENTS_FILE = await writeAgentsFile(directory, agent);
  if (name === 'bare') return variant(name, [await server('plain', { agent })]);
  if (name === 'embedded') {
    const env = { DATA_DIR: join(await mkdtemp(join(directory, 'embedded-')), 'ledger'), AGENTS_FILE };
    return variant(name, [await orchestrator(options, env, execArgv)]);
  }
  const database = existing ?? (await freshDatabase(options));
  if (name === 'naive') return variant(name, [await server('plain', { agent, database: database.url })], database);
  if (name === 'floor') {
    await migrate(options, database);
    return variant(name, [await server('floor', { agent, database: database.url })], database);
  }
  const without = (part) => name === part || name === 'unproven';
  const env = {
    DATABASE_URL: database.url,
    DATA_DIR: join(directory, 'keys'),
    AGENTS_FILE,
    ...(without('unsigned') && { CHECKPOINT_INTERVAL_MS: '0' }),
    ...(without('unsealed') && { MASTER_KEY: 'off' }),
  };
  const replicas = [];
  for (let i = 0; i < (name === 'replicas' ? 2 : 1); i++) replicas.push(await orchestrator(options, env, execArgv));
  return variant(name, replicas, database);
}

async function server(name, args) {
  const { pid, child, ready } = await helper(new URL(`./${name}.server.mjs`, import.meta.url), args);
  return { pid, child, url: ready.url };
}

function variant(name, processes, database) {
  return {
    name,
    processes,
    database,
    urls: processes.map((p) => p.url),
    recording: !['bare', 'naive', 'floor'].includes(name),
    /** Milliseconds of CPU used so far: by its Node processes, and by the PostgreSQL backends of its database. */
    cpu: () => ({ node: processes.reduce((sum, p) => sum + cpuOf(p.pid), 0), database: database ? cpuOfDatabase(database.name) : 0 }),
  };
}

/** Waits until sequencer and followers are done, so that their work is not charged to the next variant; returns how long that took. */
export async function settled({ recording, urls }, patience = 30_000) {
  if (!recording) return 0;
  const started = performance.now();
  for (;;) {
    const { ledger, followers } = await (await fetch(`${urls[0]}/v1/status`)).json();
    const behind = followers.some((f) => (f.lag ?? 0) > 0);
    if ((ledger.pending === 0 && !behind) || performance.now() - started > patience) return performance.now() - started;
    await sleep(50);
  }
}
