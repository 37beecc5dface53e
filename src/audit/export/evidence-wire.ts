/** What a server answers to POST /v1/export: one piece of evidence a line. An answer without its end was cut. */
import { OrchestratorError } from '../../kernel/errors.js';
import { readLines } from '../verify-wire.js';
import { type Evidence, evidenceSchema } from './evidence.js';

/** An event with everything an agent may answer, quoted. */
const LONGEST_LINE = 128 * 1024 * 1024;

export async function* readEvidence(body: AsyncIterable<Uint8Array>): AsyncGenerator<Evidence> {
  let ended = false;
  for await (const piece of readLines(body, evidenceSchema, { what: 'did not export to the end', longest: LONGEST_LINE })) {
    ended = piece.kind === 'end';
    yield piece;
  }
  if (!ended)
    throw new OrchestratorError('ledger_unavailable', 'the server did not export to the end: its answer ended too early; try again');
}
