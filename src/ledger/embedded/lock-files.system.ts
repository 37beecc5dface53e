/** The files of the data directory's lock. What they mean: data-dir-lock.system.ts. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isListening } from './unix-socket.system.js';

export interface Holder {
  readonly pid: number;
  /** Of its HTTP API, once it listens. */
  readonly port: number | null;
  readonly host: string;
  /** Changes with every boot and never goes to another kernel. */
  readonly machine: string;
  readonly socket: string;
  readonly since: string;
  readonly released: boolean;
}

/** How often the holder renews, and how long that keeps others away who cannot ask its socket. */
export interface Lease {
  readonly beatMs: number;
  readonly forMs: number;
}

export interface Generation {
  readonly number: number;
  /** Null if unreadable: a generation is published complete, so no living process has written this one. */
  readonly holder: Holder | null;
}

const NAME = /^lock\.(\d{1,15})$/;
/** Generations kept below the highest, so that somebody who is slow finds his number taken. */
const KEPT = 8;
/** Sockets and drafts of processes that were killed before they published. */
const ABANDONED_MS = 60_000;

const path = (run: string, number: number) => join(run, `lock.${number}`);

export function thisMachine(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return hostname();
  }
}

export async function latest(run: string): Promise<Generation | undefined> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const number = Math.max(0, ...(await numbers(run)));
    if (number === 0) return undefined;
    try {
      return { number, holder: parse(await readFile(path(run, number), 'utf8')) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`the lock files in ${run} vanish while they are read`);
}

async function numbers(run: string): Promise<number[]> {
  const names = await readdir(run).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
}

function parse(text: string): Holder | null {
  try {
    const holder = JSON.parse(text) as Holder | null;
    return typeof holder?.socket === 'string' && typeof holder.pid === 'number' ? holder : null;
  } catch {
    return null;
  }
}

/** False if the generation exists already. Afterwards it survives a power cut, since a draft without its bytes would look dead. */
export async function publish(run: string, number: number, holder: Holder): Promise<boolean> {
  const draft = await write(run, holder);
  try {
    await link(draft, path(run, number));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Only for the holder of that generation. */
export async function rewrite(run: string, number: number, holder: Holder): Promise<void> {
  await rename(await write(run, holder), path(run, number));
}

async function write(run: string, holder: Holder): Promise<string> {
  const draft = join(run, `${randomBytes(6).toString('hex')}.draft`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(holder)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
}

/** Tells those who cannot ask our socket that we live. False when the generation is ours no more. */
export async function renew(run: string, number: number): Promise<boolean> {
  if (Math.max(0, ...(await numbers(run))) !== number) return false;
  const file = await open(path(run, number), 'r+');
  try {
    await file.write('{', 0); // the byte that stands there: only so does the clock of the file system date it
  } finally {
    await file.close();
  }
  return true;
}

/** Milliseconds since the generation was renewed, both times taken from the clock of the file system. */
export async function leaseOf(run: string, number: number): Promise<number> {
  const probe = join(run, `${randomBytes(6).toString('hex')}.draft`);
  await writeFile(probe, '');
  try {
    const file = await open(path(run, number)); // NFS looks at the server again when a file is opened, not when it is stat'ed
    try {
      return (await stat(probe)).mtimeMs - (await file.stat()).mtimeMs;
    } finally {
      await file.close();
    }
  } finally {
    await rm(probe, { force: true });
  }
}

/** For the holder: removes what earlier ones left. A young socket may belong to somebody who is about to listen on it. */
export async function clean(run: string, number: number): Promise<void> {
  for (const name of await readdir(run)) {
    const generation = NAME.exec(name)?.[1];
    if (generation !== undefined && Number(generation) <= number - KEPT) await rm(join(run, name), { force: true });
    if (!/\.(sock|draft)$/.test(name)) continue;
    const { mtimeMs } = await stat(join(run, name)).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
    if (Date.now() - mtimeMs < ABANDONED_MS || (name.endsWith('.sock') && (await isListening(run, name)))) continue;
    await rm(join(run, name), { force: true });
  }
}
