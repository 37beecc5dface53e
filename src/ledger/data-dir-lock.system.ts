/**
 * Who may open a data directory: one process at a time, since PGlite itself asks nobody and two of them silently lose each other's
 * commits.
 *
 * The lock is a row of generations, `run/lock.1`, `run/lock.2`, …; the highest one counts, and it is held while somebody listens on
 * the socket it names. Not the pid decides (two containers on one volume are both pid 1, and pids are used again) but the kernel.
 * To take the lock from the dead is to publish the next generation with link(2), which only one of several can do. Nobody removes
 * the highest generation, not even to release it: whoever looked at it before would then publish a number that was used already.
 */
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { OrchestratorError } from '../kernel/errors.js';
import { clean, type Holder, type Lease, latest, leaseOf, publish, renew, rewrite, thisMachine } from './embedded/lock-files.system.js';
import { isListening, listenIn } from './embedded/unix-socket.system.js';

export interface DataDirLock {
  setHttpPort(port: number): Promise<void>;
  release(): Promise<void>;
}

export interface LockOptions {
  /** Somebody else has the lock although we did not release it: stop writing at once. */
  lost?: (error: OrchestratorError) => void;
  log?: (message: string) => void;
  lease?: Lease;
}

/** Races for one generation end after one round each; this bounds them all. */
const ATTEMPTS = 50;
const LEASE: Lease = { beatMs: 5_000, forMs: 30_000 };

export async function lockDataDir(dataDir: string, options: LockOptions = {}): Promise<DataDirLock> {
  const run = join(dataDir, 'run');
  const socket = `${randomBytes(6).toString('hex')}.sock`;
  // Listening comes before publishing: a generation never names a socket that does not answer yet.
  const server = await listenIn(run, socket);
  server.on('connection', (visitor) => visitor.destroy());
  server.unref();
  const me: Holder = {
    pid: process.pid,
    port: null,
    host: hostname(),
    machine: thisMachine(),
    socket,
    since: new Date().toISOString(),
    released: false,
  };
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const last = await latest(run);
      if (last && (await isHeld(run, last, options))) throw locked(dataDir, last.holder!);
      const number = (last?.number ?? 0) + 1;
      if (!(await publish(run, number, me))) continue;
      // A number far below the highest may have been cleaned away and be free again; then ours does not count.
      if ((await latest(run))?.number === number && (await isListening(run, socket))) {
        await clean(run, number);
        return hold({ dataDir, run, number, me, server }, options);
      }
    }
    throw new OrchestratorError(
      'data_dir_locked',
      `cannot lock the data directory ${dataDir}: other processes keep taking it; start one of them only`,
    );
  } catch (error) {
    await close(server);
    throw error;
  }
}

/** The process that holds the directory now, and where its HTTP API is; null when nobody does. */
export async function readLock(dataDir: string): Promise<{ pid: number; port: number | null } | null> {
  const run = join(dataDir, 'run');
  const last = await latest(run);
  if (!last?.holder || last.holder.released || !(await isListening(run, last.holder.socket))) return null;
  return { pid: last.holder.pid, port: last.holder.port };
}

async function isHeld(run: string, { number, holder }: { number: number; holder: Holder | null }, options: LockOptions): Promise<boolean> {
  if (holder === null || holder.released) return false;
  if (await isListening(run, holder.socket)) return true;
  if (holder.machine === thisMachine()) return false;
  // Another machine on a shared file system, where a refused connect says nothing, or this one before it was rebooted: wait for
  // the lease to be renewed (alive) or to run out (dead).
  const lease = options.lease ?? LEASE;
  const left = await leaseOf(run, number);
  if (left > lease.forMs) return false;
  options.log?.(
    `the data directory was last used ${Math.round(left / 1000)} s ago by another machine or before a reboot (pid ${holder.pid} on ${holder.host}): waiting until that is ${lease.forMs / 1000} s`,
  );
  for (let seen = left; seen <= lease.forMs; ) {
    await new Promise((resolve) => setTimeout(resolve, lease.beatMs / 4));
    const now = await leaseOf(run, number);
    if (now < seen) return (await latest(run))?.holder?.released !== true; // renewed, or handed over
    seen = now;
  }
  return false;
}

function hold(own: { dataDir: string; run: string; number: number; me: Holder; server: Server }, options: LockOptions): DataDirLock {
  const { dataDir, run, number, server } = own;
  let me = own.me;
  let writing: Promise<void> = Promise.resolve();
  const write = (change: Partial<Holder>) => {
    me = { ...me, ...change };
    writing = writing.catch(() => undefined).then(() => rewrite(run, number, me));
    return writing;
  };
  const lease = options.lease ?? LEASE;
  let renewed = Date.now();
  const beatOnce = async () => {
    const ours = await renew(run, number).catch(() => Date.now() - renewed < lease.forMs); // a failing disk is not yet a lost lock
    if (ours) {
      renewed = Date.now();
      return;
    }
    clearInterval(beat);
    const message = `the lock on the data directory ${dataDir} was lost, so nothing more is written to it: see who else uses or cleans it, then start again`;
    options.lost?.(new OrchestratorError('data_dir_locked', message));
  };
  const beat = setInterval(() => void beatOnce(), lease.beatMs);
  beat.unref();
  return {
    setHttpPort: (port) => write({ port }),
    async release() {
      clearInterval(beat);
      await write({ released: true }).catch(() => undefined); // then the closed socket says the same
      await close(server);
    },
  };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function locked(dataDir: string, holder: Holder): OrchestratorError {
  const me = holder.pid === process.pid && holder.host === hostname();
  const who = `${me ? 'this very process' : 'another process'}, pid ${holder.pid} on ${holder.host}, since ${holder.since}`;
  const remedy = `${holder.port === null ? '' : `use its HTTP API on port ${holder.port}, or `}stop it, or give this one another DATA_DIR`;
  return new OrchestratorError('data_dir_locked', `the data directory ${dataDir} is in use by ${who}: ${remedy}`);
}
