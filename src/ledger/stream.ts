/**
 * What a stream allows: the decider behind every append. It looks at no database and no clock; the appender gives it the state of the
 * stream's head and asks before it stamps anything.
 */
import type { Draft } from './record.js';

export interface Seal {
  readonly event: string;
  readonly reason: 'requested' | 'idle';
}

/** What seals the payload of a stream's events. */
export interface StreamKey {
  readonly id: string;
  /** To be written with the next event of the stream, which is the first it seals for; null: it stands in the ledger. */
  fresh: { readonly master: string; readonly wrapped: Buffer } | null;
  seal(name: string, bytes: Buffer): Buffer;
}

/** Enough of a stream to decide the next event; never a fold of the whole stream. Owned and mutated by the appender alone. */
export interface StreamState {
  seq: number;
  head: Buffer | null;
  seal: Seal | null;
  /** Ids of the REQUESTs without a RESPONSE. */
  readonly open: Set<string>;
  /** Absent: its payload is not sealed. */
  key?: StreamKey | undefined;
  /** Why nothing can be appended: its payload could not be sealed. */
  readonly unusable?: string;
}

export type Refusal =
  /** A contract event after session.closed. */
  | { code: 'closed'; seal: Seal }
  /** session.closed while REQUESTs are open. */
  | { code: 'busy'; open: number }
  /** A RESPONSE to something that is not open: answered already, or never asked. */
  | { code: 'not_open'; request: string }
  /** The caller had decided on another state of the stream. */
  | { code: 'moved'; seq: number }
  /** The idempotency key has been used, for `request`. */
  | { code: 'key_used'; request: string; salt: Buffer; body: Buffer }
  /** Something it was made of has been erased since it was read. */
  | { code: 'erased' }
  /** Another replica gave the session's name to another stream. */
  | { code: 'renamed' };

export const emptyStream = (): StreamState => ({ seq: 0, head: null, seal: null, open: new Set() });

/** May these drafts follow, in this order, in one go? `expectSeq`: the stream must stand exactly there. */
export function decide(state: StreamState, drafts: readonly Draft[], expectSeq?: number): Refusal | null {
  if (expectSeq !== undefined && expectSeq !== state.seq) return { code: 'moved', seq: state.seq };
  const asked = new Set<string>();
  const answered = new Set<string>();
  let seal = state.seal;
  for (const draft of drafts) {
    switch (draft.type) {
      case 'contract.request':
        if (seal) return { code: 'closed', seal };
        asked.add(draft.id);
        break;
      case 'contract.response': {
        if (seal) return { code: 'closed', seal };
        const request = draft.members.in_reply_to ?? '';
        const open = (state.open.has(request) || asked.has(request)) && !answered.has(request);
        if (!open) return { code: 'not_open', request };
        answered.add(request);
        break;
      }
      case 'session.closed': {
        if (seal) return { code: 'closed', seal };
        const open = state.open.size + asked.size - answered.size;
        if (open > 0) return { code: 'busy', open };
        seal = sealOf(draft);
        break;
      }
      default:
        break;
    }
  }
  return null;
}

/** The state after `draft` was stamped with `hash`. */
export function evolve(state: StreamState, draft: Draft, hash: Buffer): void {
  state.seq += 1;
  state.head = hash;
  if (draft.type === 'contract.request') state.open.add(draft.id);
  if (draft.type === 'contract.response') state.open.delete(draft.members.in_reply_to ?? '');
  if (draft.type === 'session.closed') state.seal = sealOf(draft);
}

const sealOf = (draft: Draft): Seal => ({ event: draft.id, reason: draft.members.reason ?? 'requested' });
