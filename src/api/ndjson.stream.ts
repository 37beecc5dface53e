/** Answers that are told as they are found: one JSON object a line. */
import { Readable } from 'node:stream';
import { StreamableFile } from '@nestjs/common';
import { OrchestratorError } from '../kernel/errors.js';

export const NDJSON = 'application/x-ndjson';

/** Whoever hangs up ends the generator. */
export const ndjson = (messages: AsyncIterable<object>): StreamableFile =>
  new StreamableFile(Readable.from(linesOf(messages)), { type: NDJSON });

async function* linesOf(messages: AsyncIterable<object>): AsyncGenerator<string> {
  try {
    for await (const message of messages) yield `${JSON.stringify(message)}\n`;
  } catch (error) {
    // The status line is gone already: the failure is a line of its own.
    const ours =
      error instanceof OrchestratorError ? error : new OrchestratorError('ledger_unavailable', 'the ledger could not be read to its end');
    yield `${JSON.stringify({ code: ours.code, detail: ours.message })}\n`;
  }
}
