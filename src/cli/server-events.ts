/** Reads server-sent events as our server writes them: a name, and JSON. Comments, which only keep a connection awake, are skipped. */
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { OrchestratorError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';

export interface ServerEvent {
  readonly event: string;
  readonly data: unknown;
}

/** The largest memory block is far below. */
const LONGEST = 64 * 1024 * 1024;
/** JSON of callers and agents is 64 levels deep at most; the answer wraps it. */
const MAX_DEPTH = 80;

export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  const ready: ServerEvent[] = [];
  const parser = createParser({
    maxBufferSize: LONGEST,
    onEvent: (event) => ready.push(read(event)),
    onError: ({ message }) => {
      throw unusable(message);
    },
  });
  for await (const chunk of body) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* ready.splice(0);
  }
}

function read({ event, data }: EventSourceMessage): ServerEvent {
  if (event === undefined) throw unusable(`it says ${JSON.stringify(data.slice(0, 100))}`);
  try {
    return { event, data: parseJson(data, { maxDepth: MAX_DEPTH }) };
  } catch (error) {
    throw unusable((error as Error).message);
  }
}

const unusable = (why: string) => new OrchestratorError('ledger_unavailable', `the server did not answer as an orchestrator does: ${why}`);
