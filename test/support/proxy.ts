/** A TCP proxy before PostgreSQL that can break a connection at the worst moment. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface BreakingProxy {
  /** The database's URL by way of the proxy. */
  readonly url: string;
  /** Breaks the next connection that sends `marker`: before the server got it, or after the server has done it and before the client hears. */
  breakNext(marker: string, when: 'before' | 'after'): void;
  /** How many connections were broken. */
  broken(): number;
  /** From now on nobody is let through, and everybody inside is thrown out; `true` opens again. */
  open(is: boolean): void;
  close(): Promise<void>;
}

export async function openProxy(databaseUrl: string): Promise<BreakingProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let armed: { marker: string; when: 'before' | 'after' } | null = null;
  let broken = 0;
  let letIn = true;

  const listener = createServer((client) => {
    if (!letIn) return void client.destroy();
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let dropAnswer = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk) => {
      if (armed && chunk.includes(armed.marker)) {
        broken += 1;
        const { when } = armed;
        armed = null;
        if (when === 'before') return end();
        dropAnswer = true;
      }
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => (dropAnswer ? end() : client.write(chunk)));
  });
  await new Promise<void>((ready) => listener.listen(0, '127.0.0.1', ready));

  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((listener.address() as AddressInfo).port);
  const throwOut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    breakNext: (marker, when) => {
      armed = { marker, when };
    },
    broken: () => broken,
    open: (is) => {
      letIn = is;
      if (!is) throwOut();
    },
    close: () => {
      throwOut();
      return new Promise((done) => listener.close(() => done()));
    },
  };
}
