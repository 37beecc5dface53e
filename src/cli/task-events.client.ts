/** Reads the events of a task that is followed, from the body of a text/event-stream. */
import { createParser } from 'eventsource-parser';
import { OrchestratorError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import { TaskEvent } from './orchestrator.schema.js';

interface Limits {
  /** Of one event. */
  readonly maxBytes: number;
  readonly maxDepth: number;
}

/** Events this version does not know are passed over. Throws `invalid_request` for what is no event of an orchestrator. */
export async function* taskEvents(body: AsyncIterable<Uint8Array>, { maxBytes, maxDepth }: Limits): AsyncGenerator<TaskEvent> {
  const ready: TaskEvent[] = [];
  const parser = createParser({
    maxBufferSize: maxBytes,
    onEvent: ({ event, data }) => {
      const known = TaskEvent.options.some(({ shape }) => shape.event.value === event);
      if (known) ready.push(read(event!, data, maxDepth));
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded')
        throw new OrchestratorError('payload_too_large', `an event is larger than ${maxBytes} bytes`);
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* ready.splice(0);
  }
}

function read(event: string, data: string, maxDepth: number): TaskEvent {
  try {
    const value = parseJson(data, { maxDepth });
    const parsed = TaskEvent.safeParse({ event, data: value });
    if (parsed.success) return { event, data: value } as TaskEvent; // what came, in its order
  } catch {
    // said below
  }
  throw new OrchestratorError('invalid_request', `an event "${event}" is none that an orchestrator sends`);
}
