/** Reads the server-sent events of an orchestrator from the body of its answer. Comments, which keep a connection awake, are skipped. */
import { createParser } from 'eventsource-parser';
import { OrchestratorError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';

/** Of one answer, or one event. A page may hold a hundred contracts of several megabytes each; whoever asks for less gets less. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** JSON of callers and agents is 64 levels deep at most; the answer wraps it. */
export const MAX_DEPTH = 80;

export interface ServerEvent {
  readonly event: string | undefined;
  /** undefined: it is not JSON. */
  readonly data: unknown;
}

export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const ready: ServerEvent[] = [];
  const parser = createParser({
    maxBufferSize: MAX_ANSWER_BYTES,
    onEvent: ({ event, data }) => ready.push({ event, data: jsonOf(data) }),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded')
        throw new OrchestratorError('payload_too_large', `an event is larger than ${MAX_ANSWER_BYTES} bytes`);
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* ready.splice(0);
  }
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text, { maxDepth: MAX_DEPTH });
  } catch {
    return undefined;
  }
}
