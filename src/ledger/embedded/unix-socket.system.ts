/** Unix sockets in a directory of any length, and the question whether anybody listens on one. */
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `sun_path` holds 108 bytes on Linux and 104 on macOS, the closing zero included; the rest is kept for the name of the socket. */
const LONGEST_DIRECTORY = 60;
const LONGEST_NAME = 40;
/** A connect to a Unix socket answers at once or not at all. */
const KNOCK_MS = 2000;

/** A path to a directory that leaves room for a socket's name. It is valid in this process, until `close`. */
export interface ShortPath {
  readonly path: string;
  close(): void;
}

export function shortPath(directory: string, links = '/proc/self/fd'): ShortPath {
  if (Buffer.byteLength(directory) <= LONGEST_DIRECTORY) return { path: directory, close: () => undefined };
  const fd = openSync(directory, 'r');
  const path = join(links, String(fd));
  if (existsSync(path)) return { path, close: () => closeSync(fd) };
  // No /proc, as on macOS: a symbolic link in a private directory of the temporary one.
  closeSync(fd);
  const home = mkdtempSync(join(tmpdir(), 'ao-'));
  symlinkSync(directory, join(home, 'd'));
  return { path: join(home, 'd'), close: () => rmSync(home, { recursive: true, force: true }) };
}

/** Listens on `name` in the directory. Node removes the socket when the server is closed. */
export async function listenIn(directory: string, name: string): Promise<Server> {
  const short = shortPath(directory);
  const server = createServer();
  try {
    if (name.length > LONGEST_NAME) throw new RangeError(`the socket name ${name} is longer than ${LONGEST_NAME}`);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(join(short.path, name), resolve);
    });
  } catch (error) {
    short.close();
    throw error;
  }
  server.once('close', short.close);
  return server;
}

/**
 * Whether a process listens on the socket. The kernel answers, not the process, so one that is stopped or busy is alive; and the
 * kernel refuses as soon as the last thread of the process is gone, kill -9 included. Doubt counts as alive.
 */
export async function isListening(directory: string, name: string): Promise<boolean> {
  const short = shortPath(directory);
  try {
    return await new Promise<boolean>((resolve) => {
      const socket = connect(join(short.path, name));
      const answer = (alive: boolean) => {
        clearTimeout(timer);
        socket.destroy();
        resolve(alive);
      };
      const timer = setTimeout(answer, KNOCK_MS, true);
      socket.once('connect', () => answer(true));
      socket.once('error', (error: NodeJS.ErrnoException) => answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
    });
  } finally {
    short.close();
  }
}
