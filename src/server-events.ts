/** Reads server-sent events as our server writes them: a name, and one line of JSON. Comments, which only keep a connection awake, are skipped. */
import { OrchestratorError } from './kernel/errors.js';
import { parseJson } from './kernel/json.js';

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
  let rest = '';
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = blocks.pop()!;
    if (rest.length > LONGEST) throw unusable(`an event is longer than ${LONGEST} characters`);
    for (const block of blocks) {
      const event = read(block);
      if (event) yield event;
    }
  }
}

function read(block: string): ServerEvent | null {
  const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
  if (event === undefined || data === undefined) {
    if (block.startsWith(':')) return null;
    throw unusable(`it says ${JSON.stringify(block.slice(0, 100))}`);
  }
  try {
    return { event, data: parseJson(data, { maxDepth: MAX_DEPTH }) };
  } catch (error) {
    throw unusable((error as Error).message);
  }
}

const unusable = (why: string) => new OrchestratorError('ledger_unavailable', `the server did not answer as an orchestrator does: ${why}`);
