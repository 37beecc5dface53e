/**
 * A batch of intents on its way into the ledger: which drafts go into which stream, in which order, and the parameters of the one
 * statement that appends them. Pure; the appender owns the states and mutates them through here.
 */

import { OrchestratorError } from '../kernel/errors.js';
import { type Disclosure, type Draft, stamp } from './record.js';
import { decide, evolve, type Refusal, type StreamKey, type StreamState } from './stream.js';

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

/** The bytes of a disclosure in the ledger, sealed once for a key, however often it is sent. */
export function storedBytes(disclosure: Disclosure, key: StreamKey | undefined): Buffer {
  if (!key) return disclosure.bytes;
  if (disclosure.stored?.key !== key.id) disclosure.stored = { key: key.id, bytes: key.seal(disclosure.name, disclosure.bytes) };
  return disclosure.stored.bytes;
}

/** One row of a parameter; the type of its columns is told by append.postgres.ts. */
export type Row = (string | Buffer | number | null | undefined)[];

/** The parameters of the append statement: rows of every kind, with the columns of their types (migrations/0013). */
export interface Rows {
  readonly heads: Row[];
  readonly events: Row[];
  readonly payloads: Row[];
  readonly opens: Row[];
  readonly uses: Row[];
  readonly names: Row[];
  readonly keys: Row[];
}

export function rowsOf(lanes: readonly Lane[]): Rows {
  const rows: Rows = { heads: [], events: [], payloads: [], opens: [], uses: [], names: [], keys: [] };
  for (const { stream, state, base, placed, intents, opening } of lanes) {
    const dataKey = state.key;
    rows.heads.push([stream, base, state.seq, state.head]);
    if (dataKey?.fresh) rows.keys.push([dataKey.id, stream, dataKey.fresh.master, dataKey.fresh.wrapped]);
    for (const { draft, seq, bytes, hash } of placed) {
      const { id, type, time, members: m } = draft;
      const who = [m.task, m.cause, m.in_reply_to, m.from, m.to, m.capability, m.status, m.error_code] as const;
      rows.events.push([stream, seq, id, type, time, ...who, bytes, hash]);
      for (const part of draft.disclosures) rows.payloads.push([id, part.name, storedBytes(part, dataKey), dataKey?.id]);
    }
    for (const { drafts, open, key } of intents) {
      for (const { id } of drafts) if (open && state.open.has(id)) rows.opens.push([id, stream, open.owner, open.seconds]);
      if (key) rows.uses.push([stream, key.scope, key.key, drafts[0]!.id, key.salt, key.body]);
    }
    if (opening) rows.names.push([opening.tenant, opening.name, stream, opening.after?.stream ?? '']);
  }
  return rows;
}
