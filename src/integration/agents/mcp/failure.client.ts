import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from '@modelcontextprotocol/client';
import type { Answer, AnswerFailure } from '../../../agents/agent-client.js';
import { OrchestratorError } from '../../../kernel/errors.js';
import { toJsonValue } from '../../../kernel/json.js';
import { rawOf } from '../answer.js';
import { neverSent, turnedAway } from '../fault.js';

type Failure = Extract<Answer, { success: false }>;

const MAX_SHOWN = 200;
const MAX_MESSAGE = 4000;
const UNREACHABLE: readonly SdkErrorCode[] = [
  SdkErrorCode.ConnectionClosed,
  SdkErrorCode.NotConnected,
  SdkErrorCode.SendFailed,
  SdkErrorCode.RequestTimeout,
];

/** Whatever went wrong on the way, as an Answer. */
export function failureOf(thrown: unknown): Failure {
  const error = rootOf(thrown);
  if (error instanceof OrchestratorError) return ours(error);
  if (error instanceof ProtocolError) {
    const { code, message, data } = error;
    const raw = { error: { code, message, ...(data !== undefined && { data: toJsonValue(data) }) } };
    return failed('agent_failed', `the server answered error ${code}: ${message.slice(0, MAX_MESSAGE)}`, { raw });
  }
  if (error instanceof SdkHttpError) return refused(error);
  if (error instanceof SdkError && !UNREACHABLE.includes(error.code))
    return failed('agent_invalid_response', error.message.slice(0, MAX_MESSAGE));
  return failed(
    'agent_unreachable',
    `no answer from the server: ${reasonOf(error)}`,
    neverSent(error) ? { fault: { untouched: true } } : {},
  );
}

/** The reason inside the words that the SDK puts around it. */
function rootOf(error: unknown): unknown {
  if (error instanceof ProtocolError && error.data instanceof OrchestratorError) return error.data; // said by our own wire
  if (error instanceof SdkError && !(error instanceof SdkHttpError) && error.cause) return rootOf(error.cause);
  return error;
}

function ours(error: OrchestratorError): Failure {
  const { code, message, cause } = error;
  if (code === 'payload_too_large') return failed('agent_response_too_large', message);
  const raw = Buffer.isBuffer(cause) ? { raw: rawOf(cause) } : {};
  if (code === 'invalid_json' || code === 'agent_not_understood') return failed('agent_invalid_response', message, raw);
  return failed('agent_unreachable', message);
}

function refused({ status, data }: SdkHttpError): Failure {
  const text = typeof data.text === 'string' && data.text !== '' ? `: ${data.text.slice(0, MAX_SHOWN)}` : '';
  const message = `the server answered HTTP ${status}${text}`;
  const busy = turnedAway(status, data['retryAfter'], Date.now());
  if (busy) return { success: false, ...busy };
  if (status === 401) return failed('auth_required', message);
  if (status === 404)
    return failed('agent_unreachable', `${message}; no such server or session, it did not act`, { fault: { untouched: true } });
  return status !== undefined && status >= 500
    ? failed('agent_failed', message, { fault: { broke: true } })
    : failed('agent_invalid_response', message);
}

export function reasonOf(error: unknown): string {
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  return [message ?? String(error), cause?.code ?? cause?.message].filter(Boolean).join(': ').slice(0, MAX_MESSAGE);
}

const failed = (code: AnswerFailure, message: string, more: Pick<Failure, 'raw' | 'fault'> = {}): Failure => ({
  success: false,
  code,
  message,
  ...more,
});

/** Somebody answered the attempt to connect, and it was no MCP server. Throws `agent_unreachable` if nobody did. */
export function noServer(thrown: unknown): boolean {
  const error = rootOf(thrown);
  if (error instanceof OrchestratorError) return !['agent_unreachable', 'agent_not_understood'].includes(error.code);
  const { code, message } = failureOf(error);
  if (code === 'agent_unreachable' && !(error instanceof SdkHttpError))
    throw new OrchestratorError('agent_unreachable', message, { cause: thrown });
  return true;
}
