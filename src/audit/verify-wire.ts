/**
 * What a server answers to POST /v1/verify: one JSON object a line, any number of progresses, then the verdict. A failure on the way is a
 * line with the `code` and `detail` of a problem.
 */
import { z } from 'zod';
import { OrchestratorError } from '../kernel/errors.js';
import type { VerifyMessage } from './verify.js';
import { verdictSchema } from './verify-report.js';

const messageSchema = z.union([
  verdictSchema,
  z.object({ done: z.number(), total: z.number() }),
  z.object({ code: z.string(), detail: z.string() }),
]);

/** A verdict with all its findings is a tenth of this. */
const LONGEST_LINE = 4 * 1024 * 1024;

export async function* readMessages(body: AsyncIterable<Uint8Array>): AsyncGenerator<VerifyMessage> {
  for await (const line of linesOf(body)) {
    const message = messageSchema.safeParse(parse(line));
    if (!message.success) throw unusable(`it says ${JSON.stringify(line.slice(0, 100))}`);
    if ('code' in message.data && 'detail' in message.data) throw unusable(`${message.data.detail} (${message.data.code})`);
    yield message.data as VerifyMessage;
  }
}

async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (rest.length > LONGEST_LINE) throw unusable(`a line is longer than ${LONGEST_LINE} characters`);
    yield* lines.filter((line) => line !== '');
  }
  if (rest !== '') yield rest;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const unusable = (why: string) => new OrchestratorError('ledger_unavailable', `the server did not verify its ledger: ${why}`);
