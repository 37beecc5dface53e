/** The embedded PostgreSQL at work: the cluster made if there is none, opened, offered on a socket. Runs where it is called. */
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { OrchestratorError } from '../../kernel/errors.js';
import { bridge } from './bridge.system.js';
import { startPostgres } from './pglite.system.js';

export interface EngineOptions {
  /** Directory of the cluster. */
  readonly cluster: string;
  /** Whether there is one. */
  readonly exists: boolean;
  /** Path of the Unix socket to listen on. */
  readonly socket: string;
}

export interface EngineWatch {
  log(message: string): void;
  /** The engine has stopped by itself and serves nobody any more. Called at most once, never before the start has ended. */
  broken(error: OrchestratorError): void;
}

export interface Engine {
  close(): Promise<void>;
  /** Ends it without one more write. */
  kill(): Promise<void>;
}

export async function startEngine(options: EngineOptions, watch: EngineWatch): Promise<Engine> {
  if (!options.exists) await createCluster(options.cluster, watch.log);
  // Leftovers of a process that was killed; the lock on the data directory is ours, so they are nobody's. A power cut can leave the
  // pid file empty, and PostgreSQL would not start then.
  await rm(join(options.cluster, 'postmaster.pid'), { force: true });
  await rm(options.socket, { force: true });
  const postgres = await startPostgres(options.cluster, {
    log: watch.log,
    broken: (error) => {
      void served.close();
      watch.broken(error);
    },
  });
  const served = await bridge(options.socket, postgres);
  return {
    async close() {
      await served.close();
      await postgres.close();
    },
    async kill() {
      postgres.abandon(new OrchestratorError('ledger_unavailable', 'the embedded database was stopped'));
      await served.close();
    },
  };
}

/**
 * Beside its place first: killed in the middle, it is made again from the start. It gets its name when all of it is on the disk, so
 * a cluster that has the name is whole.
 */
async function createCluster(cluster: string, log: (message: string) => void): Promise<void> {
  const draft = `${cluster}.new`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  const postgres = await startPostgres(draft, { log: () => undefined, broken: () => undefined });
  // Transaction ids are used up by all databases of a cluster together, and nobody can connect to these two to freeze theirs: after
  // two thousand million commits PostgreSQL would refuse to write.
  await postgres.sql('UPDATE pg_database SET datistemplate = false');
  await postgres.sql('DROP DATABASE template0');
  await postgres.sql('DROP DATABASE template1');
  await postgres.close();
  await syncTree(draft);
  await rename(draft, cluster);
  await sync(dirname(cluster));
  log(`made a new database in ${cluster}`);
}

async function syncTree(directory: string): Promise<void> {
  await chmod(directory, 0o700);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    await (entry.isDirectory() ? syncTree(path) : sync(path));
  }
  await sync(directory);
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
