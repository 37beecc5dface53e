/**
 * The one error class. `code` says what went wrong in words that never change (clients switch on it), the message says what could
 * not be done, with which value and what to do about it. Adapters translate foreign errors at their border; the problem filter of
 * `api/` maps the code to an HTTP status.
 */
export type ErrorCode =
  /** The caller's fault: nothing was recorded. */
  | 'invalid_json'
  | 'invalid_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'session_closed'
  | 'session_busy'
  | 'key_conflict'
  | 'key_in_flight'
  /** What was asked for has been erased. */
  | 'erased'
  /** A legal hold forbids to erase it. */
  | 'legal_hold'
  | 'integration_off'
  /** Recorded, but no signed checkpoint has it yet. */
  | 'not_published'
  /** The agent's id belongs to somebody else. */
  | 'agent_conflict'
  /** An address the caller named: it may not be reached, or does not answer, or nothing we understand. */
  | 'address_refused'
  | 'agent_unreachable'
  | 'agent_not_understood'
  /** Our fault or our peers': try again later. */
  | 'ledger_unavailable'
  | 'issuer_unavailable'
  | 'integration_unavailable'
  | 'llm_unavailable'
  | 'overloaded'
  | 'shutting_down'
  /** The process cannot run as configured. */
  | 'bad_configuration'
  | 'data_dir_locked'
  | 'migration_failed'
  | 'database_unfit'
  /** A bug in this program. */
  | 'internal';

export interface ErrorDetails {
  cause?: unknown;
  /** RFC 6901 pointer to the offending place in a JSON text. */
  pointer?: string;
  /** One line per offending field. */
  fields?: { field: string; message: string }[];
  /** Seconds after which a retry makes sense. */
  retryAfter?: number;
}

export class OrchestratorError extends Error {
  override readonly name = 'OrchestratorError';
  readonly pointer: string | undefined;
  readonly fields: { field: string; message: string }[] | undefined;
  readonly retryAfter: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.pointer = details.pointer;
    this.fields = details.fields;
    this.retryAfter = details.retryAfter;
  }
}
