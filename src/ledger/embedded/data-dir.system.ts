/**
 * The data directory: `pg/` is the PostgreSQL cluster, `run/` holds the lock and the sockets, `pg.new/` a cluster that is being made, `log.key`
 * signs the record unless another file does.
 * What cannot be used is refused before anything is written to it.
 */
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrchestratorError } from '../../kernel/errors.js';

/** Of the PostgreSQL inside the pinned PGlite; another major version cannot read its files. */
export const POSTGRES_MAJOR = '18';

const OURS = ['pg', 'pg.new', 'run', 'log.key', 'lost+found'];
const OTHERWISE = 'name another directory in DATA_DIR, or a PostgreSQL server in DATABASE_URL';

export const clusterOf = (dataDir: string) => join(dataDir, 'pg');
export const runOf = (dataDir: string) => join(dataDir, 'run');

/** Makes the directory, or finds it fit to be ours, and leaves an open `run/` in it. */
export async function prepareDataDir(dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    await refuseForeign(dataDir);
    await mkdir(runOf(dataDir), { recursive: true, mode: 0o700 });
    await chmod(runOf(dataDir), 0o700); // whoever reaches the socket is the database's superuser
    const probe = join(runOf(dataDir), `${process.pid}.draft`);
    await writeFile(probe, '');
    await rm(probe, { force: true });
  } catch (error) {
    throw asUnfit(error, dataDir);
  }
}

async function refuseForeign(dataDir: string): Promise<void> {
  const names = await readdir(dataDir);
  if (names.includes('PG_VERSION')) {
    throw unfit(`${dataDir} is itself the data directory of a PostgreSQL server, which this program does not touch: ${OTHERWISE}`);
  }
  if (names.includes('pg') || names.includes('run')) return;
  const foreign = names.filter((name) => !OURS.includes(name) && !name.startsWith('.'));
  if (foreign.length === 0) return;
  const some = foreign.slice(0, 3).join(', ') + (foreign.length > 3 ? `, … (${foreign.length} entries)` : '');
  throw unfit(`${dataDir} holds something else (${some}) and no ledger: ${OTHERWISE}`);
}

/** Whether the directory has a cluster; throws if it is none that we can open. Only for the holder of the lock. */
export async function hasCluster(dataDir: string): Promise<boolean> {
  const cluster = clusterOf(dataDir);
  let version: string;
  try {
    if (!(await readdir(dataDir)).includes('pg')) return false;
    await chmod(cluster, 0o700); // PGlite makes its files readable and writable for everybody
    version = (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw asUnfit(error, cluster);
    throw unfit(
      `${cluster} is no PostgreSQL cluster (it has no PG_VERSION): restore all of it from a backup, or move it away to start with an empty ledger`,
    );
  }
  if (version === POSTGRES_MAJOR) return true;
  throw unfit(
    `${cluster} was written by PostgreSQL ${version}, this program embeds ${POSTGRES_MAJOR}: open it with the release that wrote it, or ${OTHERWISE}`,
  );
}

/** Whatever the file system refused, as a sentence an operator can act on. */
export function asUnfit(error: unknown, path: string): OrchestratorError {
  if (error instanceof OrchestratorError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const why: Record<string, string> = {
    EACCES: `this process (uid ${process.getuid?.()}) may not write there: chown the directory to it`,
    EPERM: `this process (uid ${process.getuid?.()}) may not change it: chown the directory to it`,
    EROFS: 'the file system is mounted read-only: mount it writable',
    ENOTDIR: 'it is a file, or lies below one: move that away',
    EEXIST: 'it is a file: move it away',
    ENOSPC: 'the disk is full: make room',
    EOPNOTSUPP: 'its file system cannot hold Unix sockets (a bind mount of Docker Desktop?): use a named volume',
    ENOTSUP: 'its file system cannot hold Unix sockets (a bind mount of Docker Desktop?): use a named volume',
  };
  return unfit(`the data directory ${path} cannot be used: ${why[code ?? ''] ?? message}; or ${OTHERWISE}`, error);
}

export function unfit(message: string, cause?: unknown): OrchestratorError {
  return new OrchestratorError('database_unfit', message, { cause });
}
