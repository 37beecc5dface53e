/** Server-sent events around one piece of work: `progress` any number of times, then `done` or `error`. Who hangs up stops it. */
import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import { OrchestratorError } from '../kernel/errors.js';

/** Proxies close what is silent for longer. */
const HEARTBEAT_MS = 15_000;

/** Nobody reads it; it is no bug of ours either. */
export const hungUp = () => new OrchestratorError('invalid_request', 'the client hung up before it was answered');

export interface Told<T> {
  readonly done: (value: T) => object;
  readonly failed: (error: unknown) => object;
}

export function eventStream<T>(
  work: (waiter: { signal: AbortSignal; report: (progress: object) => void }) => Promise<T>,
  { done, failed }: Told<T>,
): StreamableFile {
  const gone = new AbortController();
  const events = new Readable({
    read() {},
    destroy(error, callback) {
      clearInterval(heartbeat);
      gone.abort(hungUp());
      callback(error);
    },
  });
  const heartbeat = setInterval(() => events.push(': still working\n\n'), HEARTBEAT_MS);
  const tell = (event: string, data: object) => {
    if (!events.destroyed) events.push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  work({ signal: gone.signal, report: (progress) => tell('progress', progress) })
    .then(
      (value) => tell('done', done(value)),
      (error: unknown) => tell('error', failed(error)),
    )
    .finally(() => {
      clearInterval(heartbeat);
      if (!events.destroyed) events.push(null);
    });
  return new StreamableFile(events, { type: 'text/event-stream' });
}
