/**
 * What a server answers to POST /v1/verify: one JSON object a line, any number of progresses, then the verdict. A failure on the way is a
 * line with the `code` and `detail` of a problem.
 */
import { z } from 'zod';
import { type ErrorCode, OrchestratorError } from '../kernel/errors.js';
import type { VerifyMessage } from './verify.js';
import { verdictSchema } from './verify-verdict.js';

const messageSchema = z.union([verdictSchema, z.object({ done: z.number(), total: z.number() })]);
const problemSchema = z.object({ code: z.string(), detail: z.string() });

/** A verdict with all its findings is a tenth of this. */
const LONGEST_LINE = 4 * 1024 * 1024;

export function readMessages(body: AsyncIterable<Uint8Array>): AsyncGenerator<VerifyMessage> {
  return readLines(body, messageSchema, { what: 'did not verify its ledger', longest: LONGEST_LINE }) as AsyncGenerator<VerifyMessage>;
}

/** JSON objects of one schema, one a line. Throws what a problem among them says, with `what` the server did not do. */
export async function* readLines<T extends z.ZodType>(
  body: AsyncIterable<Uint8Array>,
  schema: T,
  { what, longest }: { what: string; longest: number },
): AsyncGenerator<z.output<T>> {
  const unusable = (why: string, code: ErrorCode = 'ledger_unavailable') => new OrchestratorError(code, `the server ${what}: ${why}`);
  for await (const line of linesOf(body, longest, unusable)) {
    const told = parse(line);
    const problem = problemSchema.safeParse(told);
    if (problem.success) throw unusable(`${problem.data.detail} (${problem.data.code})`, problem.data.code as ErrorCode);
    const message = schema.safeParse(told);
    if (!message.success) throw unusable(`it says ${JSON.stringify(line.slice(0, 100))}`);
    yield message.data;
  }
}

async function* linesOf(
  body: AsyncIterable<Uint8Array>,
  longest: number,
  unusable: (why: string) => OrchestratorError,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    if (rest.length > longest) throw unusable(`a line is longer than ${longest} characters`);
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
