/**
 * The one session of the embedded PostgreSQL, offered on a Unix socket: one client after the other. pglite-socket would do it too,
 * but there the next client inherits the prepared statements and settings of the last one, all of them hang for ever after a PANIC,
 * and each message is a turn of its own.
 */
import { createServer, type Socket } from 'node:net';

export interface Session {
  exec(messages: Uint8Array): Promise<Uint8Array[]>;
}

export interface Bridge {
  /** Disconnects everybody; resolves when the session is at rest. */
  close(): Promise<void>;
}

/** A client whose predecessor does not leave is told so after this long. */
const PATIENCE_MS = 5000;
const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const TERMINATE = 'X'.charCodeAt(0);

const SYNC = frame('S');
const FORGET = [SYNC, frame('Q', 'ROLLBACK\0'), frame('Q', 'DISCARD ALL\0')];
const BUSY = frame(
  'E',
  'SFATAL\0VFATAL\0C53300\0Mthe embedded database has one session and it is taken: use a pool of one connection, or stop who has it\0\0',
);

export async function bridge(path: string, session: Session, patienceMs = PATIENCE_MS): Promise<Bridge> {
  const clients = new Set<Socket>();
  let turn: Promise<void> = Promise.resolve();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.once('close', () => clients.delete(socket));
    socket.on('error', () => undefined); // a client that broke off is a client that left
    const patience = setTimeout(() => socket.end(BUSY), patienceMs);
    turn = turn.then(async () => {
      clearTimeout(patience);
      if (!socket.writableEnded) await converse(socket, session).catch(() => undefined);
      socket.destroy();
      // Also in the middle of its transaction: the session knows nothing of clients.
      for (const message of FORGET) await session.exec(message).catch(() => undefined);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.unref();
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of clients) socket.destroy();
      await closed;
      await turn;
    },
  };
}

/** Until the client leaves or PostgreSQL breaks. The connection is then cut without an answer: the client must not think it knows the outcome. */
async function converse(socket: Socket, session: Session): Promise<void> {
  const inbox = new Inbox();
  for await (const chunk of socket) {
    inbox.add(chunk as Buffer);
    for (let messages = inbox.take(); messages !== undefined; messages = inbox.take()) {
      if (messages === 'no encryption') socket.write('N');
      else if (messages === 'bye') return;
      else socket.write(Buffer.concat(await session.exec(messages)));
    }
  }
}

/** Cuts the stream into whole messages. PostgreSQL must not see half of one: it would look for the rest from inside WebAssembly. */
export class Inbox {
  private chunks: Buffer[] = [];
  private size = 0;
  private needed = 8;
  private started = false;

  add(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.size += chunk.length;
  }

  /** All whole messages that are there, undefined if there is none. */
  take(): Buffer | 'no encryption' | 'bye' | undefined {
    if (this.size < this.needed) return undefined;
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.size);
    this.chunks = [bytes];
    return this.started ? this.messages(bytes) : this.startup(bytes);
  }

  /** The packets before the first message have no type byte. */
  private startup(bytes: Buffer): Buffer | 'no encryption' | 'bye' | undefined {
    const length = bytes.readUInt32BE(0);
    const code = bytes.readUInt32BE(4);
    if (length < 8 || length > 10_000 || code === CANCEL_REQUEST) return 'bye'; // nobody else could stop a query of the one thread
    if (bytes.length < length) return this.wait(length);
    const encryption = code === SSL_REQUEST || code === GSS_REQUEST;
    this.started = !encryption;
    this.rest(bytes, length);
    return encryption ? 'no encryption' : bytes.subarray(0, length);
  }

  private messages(bytes: Buffer): Buffer | 'bye' | undefined {
    let end = 0;
    while (bytes.length - end >= 5) {
      const length = bytes.readUInt32BE(end + 1);
      // PostgreSQL would answer Terminate by ending the process, which is us.
      if (length < 4 || (bytes[end] === TERMINATE && end === 0)) return 'bye';
      if (bytes[end] === TERMINATE || bytes.length - end < 1 + length) break;
      end += 1 + length;
    }
    if (end === 0) return this.wait(bytes.length < 5 ? 5 : 1 + bytes.readUInt32BE(1));
    this.rest(bytes, end);
    return bytes.subarray(0, end);
  }

  private wait(needed: number): undefined {
    this.needed = needed;
    return undefined;
  }

  private rest(bytes: Buffer, from: number): void {
    this.chunks = from < bytes.length ? [bytes.subarray(from)] : [];
    this.size = bytes.length - from;
    this.needed = this.started ? 5 : 8;
  }
}

function frame(type: string, body = ''): Buffer {
  const bytes = Buffer.alloc(5 + Buffer.byteLength(body));
  bytes.write(type, 0);
  bytes.writeUInt32BE(bytes.length - 1, 1);
  bytes.write(body, 5);
  return bytes;
}
