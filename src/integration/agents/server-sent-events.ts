/** Takes a text/event-stream apart. Only `data` is of interest: what agents send names its kind inside. */
import { createParser } from 'eventsource-parser';
import { OrchestratorError } from '../../kernel/errors.js';

export interface EventFeed {
  /** `hear` is called for each event that this completes; what it throws is thrown here. */
  add(chunk: Uint8Array): void;
  /** What stands unfinished at the end is no event by the book. Some read it all the same: this is for those who hear on behalf of others. */
  end(): void;
}

export function eventFeed(hear: (data: string) => void): EventFeed {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const parser = createParser({ onEvent: ({ data }) => hear(data) });
  return {
    add: (chunk) => parser.feed(textOf(decoder, chunk)),
    end: () => parser.feed('\n'),
  };
}

function textOf(decoder: InstanceType<typeof TextDecoder>, chunk: Uint8Array): string {
  try {
    return decoder.decode(chunk, { stream: true });
  } catch {
    throw new OrchestratorError('invalid_json', 'the agent streams what is not UTF-8', { cause: chunk });
  }
}
