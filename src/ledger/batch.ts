/**
 * A batch of intents on its way into the ledger: which drafts go into which stream, in which order, and the parameters of the one
 * statement that appends them. Pure; the appender owns the states and mutates them through here.
 */

import { OrchestratorError } from '../kernel/errors.js';
import { type Disclosure, type Draft, stamp } from './record.js';
import { decide, evolve, type Refusal, type StreamState } from './stream.js';

/** The caller's name for a session, claimed together with the first event of the stream. */
export interface Opening {
  readonly tenant: string;
  readonly name: string;
  /** The stream that idleness closed under the same name, with its seal. */
  readonly after: { stream: string; seal: string } | null;
  /** Disclosure `session`, part of the stream's first record. */
  readonly disclosure: Disclosure;
}

export interface KeyClaim {
  readonly scope: string;
  readonly key: Buffer;
  readonly salt: Buffer;
  readonly body: Buffer;
}

/** What somebody wants appended to one stream, all of it or nothing. */
export interface Intent {
  readonly stream: string;
  readonly drafts: readonly Draft[];
  /** Append only if the stream stands exactly at this seq. */
  readonly expectSeq?: number;
  /** Present while the caller does not know the stream to exist. */
  readonly opening?: Opening | undefined;
  /** Who answers for the REQUESTs this intent leaves open, and for how many seconds. */
  readonly open?: { owner: string; seconds: number };
  /** Append only if nothing more has been erased of these streams than when their payload was read. */
  readonly unerased?: { streams: readonly string[]; erasures: number };
  /** Idempotency key, claimed together with the first draft. */
  readonly key?: KeyClaim | undefined;
}

/** A draft in its place. `hash` is final; it is the receipt once the batch is committed. */
export interface Placed {
  readonly draft: Draft;
  readonly seq: number;
  readonly hash: Buffer;
}

/** What one batch does to one stream. */
export interface Lane {
  readonly stream: string;
  readonly state: StreamState;
  readonly base: Buffer;
  readonly placed: (Placed & { readonly bytes: Buffer })[];
  readonly intents: Intent[];
  opening: Opening | null;
}

const NONE = Buffer.alloc(0);

/** The lane takes over the state: it is valid again only when the batch was won. */
export const openLane = (stream: string, state: StreamState): Lane => ({
  stream,
  state,
  base: state.head ?? NONE,
  placed: [],
  intents: [],
  opening: null,
});

/** Puts the intent's drafts at the end of the lane, or says why they may not stand there. Throws what is wrong with this intent or stream alone. */
export function place(lane: Lane, intent: Intent): Refusal | Placed[] {
  const { state } = lane;
  if (state.unusable !== undefined) throw new OrchestratorError('ledger_unavailable', state.unusable);
  const refusal = decide(state, intent.drafts, intent.expectSeq);
  if (refusal) return refusal;
  const drafts = state.seq === 0 && intent.opening ? withOpening(intent.drafts, intent.opening) : intent.drafts;
  const placed: Lane['placed'] = [];
  let prev = state.head;
  for (const draft of drafts) {
    const seq = state.seq + placed.length + 1;
    const { bytes, hash } = stamp(draft, { stream: lane.stream, seq, prev });
    placed.push({ draft, seq, bytes, hash });
    prev = hash;
  }
  // Nothing throws from here on: the state never holds half an intent.
  if (state.seq === 0 && intent.opening) lane.opening = intent.opening;
  for (const { draft, hash } of placed) evolve(state, draft, hash);
  lane.placed.push(...placed);
  lane.intents.push(intent);
  return placed;
}

function withOpening([first, ...rest]: readonly Draft[], opening: Opening): Draft[] {
  const cause = opening.after ? { cause: opening.after.seal } : {};
  return [{ ...first!, members: { ...first!.members, ...cause }, disclosures: [opening.disclosure, ...first!.disclosures] }, ...rest];
}

const MAX_EVENTS = 200;
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * As many from the front as one batch holds: 200 events, 4 MiB, a larger one alone; of several that claim the same key or name the first.
 */
export function fill<T extends { readonly intent: Intent }>(queue: readonly T[]): { taken: T[]; rest: T[] } {
  const taken: T[] = [];
  const later: T[] = [];
  const claims = new Map<string, string>();
  let events = 0;
  let bytes = 0;
  let next = 0;
  for (; next < queue.length; next++) {
    const item = queue[next]!;
    const { drafts } = item.intent;
    const size = drafts.reduce((sum, draft) => draft.disclosures.reduce((n, d) => n + d.bytes.length, sum + 1024), 0);
    if (taken.length > 0 && (events + drafts.length > MAX_EVENTS || bytes + size > MAX_BYTES)) break;
    const own = claimsOf(item.intent);
    if (own.some(([what, by]) => (claims.get(what) ?? by) !== by)) {
      later.push(item);
      continue;
    }
    for (const [what, by] of own) claims.set(what, by);
    events += drafts.length;
    bytes += size;
    taken.push(item);
  }
  return { taken, rest: [...later, ...queue.slice(next)] };
}

/** What only one intent of a batch may write, and who it is: one statement cannot touch a row twice. */
function claimsOf({ stream, drafts, key, opening }: Intent): [string, string][] {
  const claims: [string, string][] = [];
  if (key) claims.push([`key ${key.scope} ${key.key.toString('hex')}`, drafts[0]!.id]);
  if (opening) claims.push([`name ${opening.tenant}/${opening.name}`, stream]);
  return claims;
}

/** The values of one array parameter. */
export type Column = (string | Buffer | number | null | undefined)[];

/** Parameters of the append statement, column by column in the order append.postgres.ts names them. */
export function parameters(lanes: readonly Lane[]): Record<'events' | 'opened' | 'keys' | 'names' | 'fresh', Column[]> {
  const [streams, events, payloads, opened, keys, names] = [columns(4), columns(15), columns(4), columns(4), columns(6), columns(4)];
  const fresh = columns(4);
  for (const lane of lanes) {
    const { key: dataKey } = lane.state;
    push(streams, lane.stream, lane.base, lane.state.seq, lane.state.head);
    if (dataKey?.fresh) push(fresh, dataKey.id, lane.stream, dataKey.fresh.master, dataKey.fresh.wrapped);
    for (const { draft, seq, bytes, hash } of lane.placed) {
      const m = draft.members;
      const who = [m.task, m.cause, m.in_reply_to, m.from, m.to, m.capability, m.status, m.error_code];
      push(events, lane.stream, seq, draft.id, draft.type, draft.time, ...who, bytes, hash);
      for (const { name, bytes } of draft.disclosures) push(payloads, draft.id, name, dataKey?.seal(name, bytes) ?? bytes, dataKey?.id);
    }
    for (const { drafts, open, key } of lane.intents) {
      for (const { id } of drafts) if (open && lane.state.open.has(id)) push(opened, id, lane.stream, open.owner, open.seconds);
      if (key) push(keys, lane.stream, key.scope, key.key, drafts[0]!.id, key.salt, key.body);
    }
    if (lane.opening) push(names, lane.opening.tenant, lane.opening.name, lane.stream, lane.opening.after?.stream ?? '');
  }
  return { events: [...streams, ...events, ...payloads], opened, keys, names, fresh };
}

const columns = (n: number): Column[] => Array.from({ length: n }, () => []);

function push(into: Column[], ...values: Column): void {
  for (let i = 0; i < values.length; i++) into[i]!.push(values[i]);
}
