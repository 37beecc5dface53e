/** GETs the documents agents and lists of agents describe themselves with, on the way that is open to strangers. */
import type { Stop } from '../../agents/agent-client.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { type JsonValue, parseJsonBytes } from '../../kernel/json.js';
import type { Outgoing } from './outgoing.client.js';

/** Of one document, kept on the record as it came. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;

export interface FetchedDocument {
  readonly status: number;
  readonly etag?: string;
  readonly media_type: string;
  readonly bytes: Buffer;
  /** undefined: it is not JSON. */
  readonly json?: JsonValue;
}

/** Throws `address_refused` and `agent_unreachable`, and `agent_not_understood` for more than can be kept. */
export async function getDocument(outgoing: Outgoing, url: string, asked: { stop: Stop; etag?: string }): Promise<FetchedDocument> {
  try {
    const answer = await outgoing.fetch(MAX_DOCUMENT_BYTES)(url, {
      headers: { accept: 'application/json', ...(asked.etag !== undefined && { 'if-none-match': asked.etag }) },
      signal: asked.stop.signal,
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const etag = answer.headers.get('etag');
    const json = jsonOf(bytes);
    return {
      status: answer.status,
      media_type: (answer.headers.get('content-type') ?? 'application/octet-stream').slice(0, 200),
      bytes,
      ...(etag !== null && etag.length <= 500 && { etag }),
      ...(json !== undefined && { json }),
    };
  } catch (error) {
    throw ours(error, url);
  }
}

function jsonOf(bytes: Buffer): JsonValue | undefined {
  try {
    return parseJsonBytes(bytes) as JsonValue;
  } catch {
    return undefined;
  }
}

/** fetch hides its reason one or two causes deep. */
function ours(error: unknown, url: string): OrchestratorError {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    if (!(cause instanceof OrchestratorError)) continue;
    if (cause.code !== 'payload_too_large') return cause;
    return new OrchestratorError('agent_not_understood', `${url} answered more than ${MAX_DOCUMENT_BYTES} bytes`, { cause: error });
  }
  const { cause, message } = error as { cause?: { message?: string; code?: string }; message: string };
  const why = cause?.message || cause?.code || message;
  return new OrchestratorError('agent_unreachable', `${url} cannot be reached: ${why}`, { cause: error });
}
