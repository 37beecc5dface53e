/** W3C Trace Context, level 1: which distributed trace a request belongs to, and the headers that carry it on. */
import { hash } from 'node:crypto';

export interface Trace {
  /** 32 hex digits. */
  readonly id: string;
  /** Whether whoever asked may have recorded his part. Passed on as it came. */
  readonly sampled: boolean;
  /** The header `tracestate` as it came: other people's data, passed on and kept nowhere. */
  readonly state?: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;
const ZEROS = /^0+$/;

/** Null: there is none, or it is invalid and must be ignored together with its state. Of a version to come, only what version 00 has is read. */
export function readTrace(traceparent: unknown, tracestate: unknown): Trace | null {
  const parts = typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent) : null;
  if (!parts) return null;
  const [, version, id, parent, flags, more] = parts as unknown as [string, string, string, string, string, string | undefined];
  if (version === 'ff' || (version === '00' && more !== undefined) || ZEROS.test(id) || ZEROS.test(parent)) return null;
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  return { id, sampled, ...(typeof tracestate === 'string' && TRACESTATE.test(tracestate) && { state: tracestate }) };
}

/** `span`: 16 hex digits, the id of the operation that sends this header. */
export const traceparent = ({ id, sampled }: Trace, span: string): string => `00-${id}-${span}-${sampled ? '01' : '00'}`;

/** The span of a contract. Anybody can derive it from the record, and so find the contract that an agent's own trace names as its parent. */
export const spanOf = (contractId: string): string => hash('sha256', contractId, 'hex').slice(0, 16);

/** What an agent is told of the trace: the contract is the span that calls it. */
export function traceHeaders(trace: Trace | null, contractId: string): Record<string, string> {
  const headers: Record<string, string> = {};
  if (trace) headers['traceparent'] = traceparent(trace, spanOf(contractId));
  if (trace?.state) headers['tracestate'] = trace.state;
  return headers;
}
