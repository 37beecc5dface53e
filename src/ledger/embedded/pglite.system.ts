/**
 * PGlite, made durable and made to stop. As it comes it never calls fsync (`-F`, and its Node file system has none), so a power cut
 * loses what was committed; and after a PANIC, such as a full disk or a failed fsync, it goes on with broken memory or spins for
 * ever inside one query. This file leans on its internals: the version is pinned, and what is not found where it was throws.
 */
import fs from 'node:fs';
import { PGlite, type PGliteInterface } from '@electric-sql/pglite';
import { NodeFS } from '@electric-sql/pglite/nodefs';
import { OrchestratorError } from '../../kernel/errors.js';
import { unfit } from './data-dir.system.js';

export interface Postgres {
  /** Runs whole protocol messages to their end, blocking, and returns the answers. Throws for good once PostgreSQL is broken. */
  exec(messages: Uint8Array): Promise<Buffer[]>;
  sql(statement: string): Promise<void>;
  fsyncs(): number;
  /** With a shutdown checkpoint. */
  close(): Promise<void>;
  /** From now on nothing is executed or written. */
  abandon(error: OrchestratorError): void;
}

export interface Watch {
  log(message: string): void;
  /** PostgreSQL ended itself; what it acknowledged is on disk. Called once. */
  broken(error: OrchestratorError): void;
}

/** The parts of the Emscripten module this file takes hold of. */
type Module = Record<string, unknown> & { FS: { filesystems?: { NODEFS?: NodeFileSystem } } };
interface NodeFileSystem {
  tryFSOperation<T>(operation: () => T): T;
  stream_ops: { fsync?(stream: { nfd: number }): number };
}

/** PGlite's own start parameters without `-F`, and what a single session in one process wants. */
const PARAMETERS = [
  '--single',
  '-O',
  '-j',
  ...Object.entries({
    search_path: 'public',
    exit_on_error: 'false',
    log_checkpoints: 'false',
    max_worker_processes: '0',
    max_parallel_workers: '0',
    max_parallel_workers_per_gather: '0',
    max_parallel_maintenance_workers: '0',
    io_method: 'sync',
    fsync: 'on',
    wal_sync_method: 'fsync', // fdatasync does nothing in the WebAssembly build
    shared_buffers: '16MB', // the default 128 MB only cost memory: the operating system caches the same pages
    maintenance_work_mem: '16MB', // WebAssembly memory never shrinks
    min_wal_size: '32MB',
    default_statistics_target: '30', // ANALYZE holds up the only session
    log_min_messages: 'log', // not ERROR: failed statements and their values are the caller's business and may be payload
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
];

/** A longjmp back to the main loop, PostgreSQL's way to raise an ERROR. Every other exception means that it is broken. */
const LONGJMP = 100;
/** As WebAssembly numbers it; its file system throws errors without a message. */
const ENOSPC = 51;

class DurableFS extends NodeFS {
  fsyncs = 0;
  module: Module | undefined;

  override async init(pg: PGlite, options: Parameters<NodeFS['init']>[1]) {
    const { emscriptenOpts } = await super.init(pg, options);
    const patch = (module: unknown) => this.patch(module as Module);
    return { emscriptenOpts: { ...emscriptenOpts, preRun: [...(emscriptenOpts.preRun ?? []), patch] } };
  }

  private patch(module: Module): void {
    this.module = module;
    const nodefs = module.FS.filesystems?.NODEFS;
    if (typeof nodefs?.tryFSOperation !== 'function' || nodefs.stream_ops === undefined || nodefs.stream_ops.fsync !== undefined) {
      throw unfit('this version of PGlite is built differently and cannot be made durable: install the pinned one');
    }
    // Directories are opened too and have an nfd, so the names of new files become durable as well.
    nodefs.stream_ops.fsync = (stream) => {
      this.fsyncs++;
      nodefs.tryFSOperation(() => fs.fsyncSync(stream.nfd));
      return 0;
    };
  }
}

export async function startPostgres(directory: string, watch: Watch): Promise<Postgres> {
  const disk = new DurableFS(directory);
  const complaints: string[] = [];
  const onStderr = (line: string) => {
    if (!/^pglitec:|skipping missing configuration file/.test(line)) watch.log(`PostgreSQL: ${line.replace(/^\S+ \S+ \w+ \[\d+\] /, '')}`);
    if (/PANIC|FATAL|Aborted/.test(line)) complaints.push(line.replace(/^.*?(PANIC|FATAL):\s*/, '$1: '));
    return false;
  };
  let pglite: PGlite;
  try {
    pglite = await PGlite.create({ dataDir: directory, fs: disk, startParams: PARAMETERS, onStderr, onStdout: () => false });
    await prove(pglite, disk);
  } catch (error) {
    if (error instanceof OrchestratorError) throw error;
    const why =
      complaints.join('; ') ||
      (error as Error).message ||
      ((error as { errno?: number }).errno === ENOSPC ? 'No space left on device' : String(error));
    const remedy = /No space left/.test(why)
      ? 'make room on its disk'
      : 'restore the directory from a backup, or move it away to start with an empty ledger';
    throw unfit(`the embedded database in ${directory} does not start (${why}): ${remedy}`, error);
  }
  let failure: OrchestratorError | undefined;
  stopWhenBroken(disk.module!, (cause) => {
    const why = complaints.join('; ') || String(cause);
    failure ??= new OrchestratorError(
      'ledger_unavailable',
      `the embedded database in ${directory} stopped itself (${why}): remove the cause and start again, what was acknowledged is safe on disk`,
      { cause },
    );
    watch.broken(failure);
    return failure;
  });
  return {
    async exec(messages) {
      if (failure) throw failure;
      const answers: Buffer[] = [];
      await pglite.execProtocolRawStream(messages, { syncToFs: false, onRawData: (bytes) => answers.push(Buffer.from(bytes)) });
      return answers;
    },
    sql: async (statement) => void (await pglite.exec(statement)),
    fsyncs: () => disk.fsyncs,
    close: async () => {
      if (!failure) await pglite.close();
    },
    abandon: (error) => {
      failure ??= error;
    },
  };
}

/** That every commit reaches the disk is what the ledger rests on: seen at each start, not believed. */
async function prove(pglite: PGliteInterface, disk: DurableFS): Promise<void> {
  const before = disk.fsyncs;
  await pglite.exec('CHECKPOINT');
  const { rows } = await pglite.query<{ fsync: string; method: string }>(
    `SELECT current_setting('fsync') AS fsync, current_setting('wal_sync_method') AS method`,
  );
  if (disk.fsyncs === before || rows[0]?.fsync !== 'on' || rows[0].method !== 'fsync') {
    throw unfit(
      `the embedded database would not survive a power cut (fsync ${rows[0]?.fsync} by ${rows[0]?.method}, ${disk.fsyncs - before} calls in a checkpoint): install the pinned PGlite`,
    );
  }
}

/**
 * PGlite swallows every exception of the main loop and calls it again. After anything but a longjmp each function of the module
 * throws instead, which leaves that loop and lets nobody in again.
 */
function stopWhenBroken(module: Module, broken: (cause: unknown) => OrchestratorError): void {
  const step = module['_PostgresMainLoopOnce'];
  if (typeof step !== 'function' || typeof module['stackRestore'] !== 'function') {
    throw unfit('this version of PGlite is built differently and cannot be stopped after a PANIC: install the pinned one');
  }
  module['_PostgresMainLoopOnce'] = () => {
    try {
      step();
    } catch (error) {
      if ((error as { status?: number }).status === LONGJMP) throw error;
      const failure = broken(error);
      const refuse = () => {
        throw failure;
      };
      for (const name of Object.keys(module)) if (/^_|^stack/.test(name) && typeof module[name] === 'function') module[name] = refuse;
      throw failure;
    }
  };
}
