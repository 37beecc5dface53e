/**
 * The embedded PostgreSQL: a directory, a lock on it, and an engine that serves one session on a private Unix socket. Give the pg
 * pool `host`, `port` and max 1, and run `EmbeddedHousekeeping` on that pool: nobody else vacuums and checkpoints here.
 */
import { join, resolve } from 'node:path';
import type { OrchestratorError } from '../kernel/errors.js';
import { lockDataDir } from './data-dir-lock.system.js';
import { asUnfit, clusterOf, hasCluster, prepareDataDir, runOf } from './embedded/data-dir.system.js';
import { type Engine } from './embedded/engine.system.js';
import { startEngineThread } from './embedded/thread.system.js';
import { shortPath } from './embedded/unix-socket.system.js';

export interface EmbeddedOptions {
  log?: (message: string) => void;
  /**
   * The database stopped by itself (full disk, failed fsync, lost lock) and every connection to it fails from now on. What was
   * acknowledged is safe; the process should end, and its supervisor start it again.
   */
  failed?: (error: OrchestratorError) => void;
}

export interface Embedded {
  /** Directory of the socket, what pg takes for `host`. Valid in this process. */
  readonly host: string;
  readonly port: number;
  /** From now on the lock says where the HTTP API is. */
  setHttpPort(port: number): Promise<void>;
  /** After the pool was ended. Disconnects whoever is left, rolls back, writes a checkpoint, releases the lock. */
  close(): Promise<void>;
}

/** Part of the socket's name, nothing more: pg connects to `<host>/.s.PGSQL.<port>`. */
const PORT = 5432;

export async function openEmbedded(dataDir: string, options: EmbeddedOptions = {}): Promise<Embedded> {
  const directory = resolve(dataDir);
  const log = options.log ?? (() => undefined);
  await prepareDataDir(directory);
  let engine: Engine | undefined;
  let failure: OrchestratorError | undefined;
  const failed = (error: OrchestratorError) => {
    if (failure) return;
    failure = error;
    log(error.message);
    void engine?.kill();
    options.failed?.(error);
  };
  const lock = await lockDataDir(directory, { lost: failed, log }).catch((error: unknown) => {
    throw asUnfit(error, directory);
  });
  const short = shortPath(runOf(directory));
  const release = async () => {
    short.close();
    await lock.release();
  };
  try {
    const socket = join(short.path, `.s.PGSQL.${PORT}`);
    engine = await startEngineThread(
      { cluster: clusterOf(directory), exists: await hasCluster(directory), socket },
      { log, broken: failed },
    );
    if (failure) throw failure; // the lock went while the engine was starting
  } catch (error) {
    await engine?.kill();
    await release();
    throw error;
  }
  let closed: Promise<void> | undefined;
  const close = async () => {
    await engine?.close().catch((error: Error) => log(`the embedded database did not close in good order: ${error.message}`));
    await release();
  };
  return {
    host: short.path,
    port: PORT,
    setHttpPort: (port) => lock.setHttpPort(port),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
