/**
 * For SDKs that read JSON with JSON.parse, which keeps one of two equal keys and rounds large numbers: every JSON body and every
 * server-sent event goes through our scanner on its way to them.
 */
import { OrchestratorError } from '../../kernel/errors.js';
import { type JsonValue, parseJson, parseJsonBytes } from '../../kernel/json.js';

export interface Watch {
  /** A whole JSON body. What it throws breaks the answer. */
  body?(message: JsonValue, bytes: Buffer): void;
  /** Why a stream of events broke off; the SDK is told as well. */
  broken?(error: Error): void;
}

/**
 * The answer for the SDK. Text that is not JSON breaks it with an OrchestratorError whose cause is that text as bytes. Other media types pass
 * as they are: to refuse them is up to the SDK.
 */
export async function checked(answer: Response, watch: Watch): Promise<Response> {
  const { status, statusText, headers } = answer;
  const type = mediaType(answer);
  if (type === 'application/json') {
    const bytes = Buffer.from(await answer.arrayBuffer());
    watch.body?.(
      readAs(bytes, () => parseJsonBytes(bytes) as JsonValue),
      bytes,
    );
    return new Response(bytes, { status, statusText, headers });
  }
  if (type === 'text/event-stream' && answer.body)
    return new Response(checkedEvents(answer.body.getReader(), watch), { status, statusText, headers });
  return answer;
}

export const mediaType = (answer: Response) => (answer.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();

function checkedEvents(source: ReadableStreamDefaultReader<Uint8Array>, watch: Watch): ReadableStream<Uint8Array> {
  const check = eventCheck();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await source.read();
        if (done) return controller.close();
        check(value);
        controller.enqueue(value);
      } catch (error) {
        watch.broken?.(error as Error);
        controller.error(error);
        await source.cancel(error).catch(() => undefined);
      }
    },
    cancel: (reason) => source.cancel(reason),
  });
}

/** Takes the stream piece by piece; an event is checked before the piece that ends it is passed on. */
function eventCheck(): (chunk: Uint8Array) => void {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = '';
  let halfEnd = false; // the last chunk ended between \r and perhaps \n
  let data: string[] = [];
  const endOfLine = () => {
    if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
    if (line === '' && data.length > 0) {
      const text = data.join('\n');
      data = [];
      if (text !== '') readAs(text, () => parseJson(text));
    }
    line = '';
  };
  return (chunk) => {
    let text = readAs(chunk, () => decoder.decode(chunk, { stream: true }));
    if (halfEnd && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') halfEnd = text.endsWith('\r');
    const [first, ...others] = text.split(/\r\n|\n|\r/);
    line += first;
    for (const next of others) {
      endOfLine();
      line = next;
    }
  };
}

function readAs<T>(text: string | Uint8Array, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new OrchestratorError('invalid_json', (error as Error).message, { cause: Buffer.from(text as Uint8Array) });
  }
}
