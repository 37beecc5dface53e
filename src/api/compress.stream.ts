/** Server-sent events around one piece of work: `progress` any number of times, then `done` or `error`. Who hangs up stops it. */
import type { StreamableFile } from '@nestjs/common';
import { OrchestratorError } from '../kernel/errors.js';
import { EventWriter } from './event-writer.stream.js';

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
  const events = new EventWriter();
  events.onClose(() => gone.abort(hungUp()));
  work({ signal: gone.signal, report: (progress) => events.write('progress', progress) })
    .then(
      (value) => events.write('done', done(value)),
      (error: unknown) => events.write('error', failed(error)),
    )
    .finally(() => events.end());
  return events.file();
}
