/** What is no HTTP request, or only half of one, reaches no route: whoever sent it is told all the same, as of every other problem. */
import type { Problem } from './problem.schema.js';

const HEAD = { type: 'about:blank', title: 'invalid request', code: 'invalid_request' } as const;

/** By the code of Node's error. */
const REFUSALS: Record<string, { line: string; problem: Problem }> = {
  HPE_HEADER_OVERFLOW: {
    line: '431 Request Header Fields Too Large',
    problem: { ...HEAD, status: 431, detail: 'the head of the request is larger than 16 KiB' },
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    line: '408 Request Timeout',
    problem: { ...HEAD, status: 408, detail: 'the request did not come to its end in time; send it in one piece' },
  },
};
const OTHER = { line: '400 Bad Request', problem: { ...HEAD, status: 400, detail: 'this is not HTTP/1.1, or not as it should be' } };

/** The whole answer, to be written to the connection, which then ends. */
export function refusalOf(code: string | undefined): string {
  const { line, problem } = REFUSALS[code ?? ''] ?? OTHER;
  const body = JSON.stringify(problem);
  const headers = ['content-type: application/problem+json', `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  return [`HTTP/1.1 ${line}`, ...headers, '', body].join('\r\n');
}
