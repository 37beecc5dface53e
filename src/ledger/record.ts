/**
 * Record v1: the canonical bytes of one event, the Merkle leaf made of them, and the salted digests that stand for its payload.
 * docs/ledger.md gives the exact bytes with worked vectors; nothing in this file may change what an existing record means.
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '../kernel/canonical.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { JsonValue } from '../kernel/json.js';

export type EventType =
  | 'contract.request'
  | 'contract.response'
  | 'session.closed'
  | 'session.compressed'
  | 'agent.registered'
  | 'agent.updated'
  | 'agent.retired'
  | 'agent.started'
  | 'agent.stopped'
  | 'agent.health'
  | 'agent.breaker'
  | 'payload.erased'
  | 'hold.placed'
  | 'hold.released'
  | 'log.started';

/** Envelope members an event brings along. What does not apply is absent, never null. No personal data, nobody's free text. */
export interface Members {
  task?: string;
  cause?: string;
  in_reply_to?: string;
  from?: string;
  to?: string;
  to_version?: string;
  /** Hex hash of the agent.registered or agent.updated record in force. */
  to_record?: string;
  capability?: string;
  status?: 'pending' | 'completed' | 'failed' | 'cancelled';
  error_code?: string;
  /** ISO time in milliseconds by which the RESPONSE is due. */
  deadline?: string;
  /** W3C trace id, 32 hex digits. */
  trace?: string;
  /** contract.request: the id of the recorded REQUEST that was sent again. */
  replay_of?: string;
  /** session.closed: why. The seal's last_seq and last_head are set when it is stamped. */
  reason?: 'requested' | 'idle';
  /** session.compressed: the places it was made of, and the hash of the record at to_seq. */
  from_seq?: number;
  to_seq?: number;
  source_hash?: string;
  /** agent.*: the version of the description. */
  version?: string;
  /** agent.health: how the agent is from here on. */
  health?: 'available' | 'offline' | 'error';
  /** log.started: the log that goes on from here, and the last checkpoint of the one before it. */
  origin?: string;
  old_origin?: string;
  old_size?: number;
  old_root?: string;
  /** agent.breaker: whether one process calls the agent from here on. */
  breaker?: 'open' | 'closed';
  /** payload.erased, hold.placed: the streams it is about as a whole. A hold without any is about all of the tenant. */
  streams?: string[];
  /** payload.erased: events all of whose payload goes. */
  events?: string[];
  /** payload.erased: single disclosures of other events. */
  disclosures?: ErasedDisclosure[];
  /** payload.erased: the data keys that are destroyed with it. */
  keys?: string[];
}

/** Names one disclosure. Once its salt is gone nothing can be learned from the digest. */
export type ErasedDisclosure = { event: string; name: string; digest: string };

/** The erasable part of an event under one name: the canonical bytes of [salt, name, value] and the digest that stands for them. */
export interface Disclosure {
  readonly name: string;
  readonly bytes: Buffer;
  readonly digest: string;
  /** How it is stored, by the key with that id: the appender's, who seals while the database is at work on others (batch.ts). */
  stored?: { readonly key: string; readonly bytes: Buffer };
}

/** An event whose id, time and salts are chosen, waiting for its place in a stream. Its id survives every retry. */
export interface Draft {
  readonly id: string;
  readonly type: EventType;
  readonly time: string;
  readonly members: Members;
  readonly disclosures: readonly Disclosure[];
}

export interface Place {
  readonly stream: string;
  readonly seq: number;
  /** Hash of the record at seq - 1; null at seq 1. */
  readonly prev: Buffer | null;
}

export interface Stamped {
  readonly bytes: Buffer;
  readonly hash: Buffer;
}

export const MAX_RECORD_BYTES = 60 * 1024;
export const MAX_DISCLOSURES = 32;

/** RFC 9901 disclosure. `salt`: base64url of 16 random bytes. */
export function disclose(salt: string, name: string, value: JsonValue): Disclosure {
  const bytes = Buffer.from(canonicalJson([salt, name, value]), 'utf8');
  return { name, bytes, digest: disclosureDigest(bytes) };
}

/** base64url(SHA-256(ASCII(base64url(bytes)))), what `_sd` holds. */
export function disclosureDigest(bytes: Buffer): string {
  return hash('sha256', bytes.toString('base64url'), 'base64url');
}

/** SHA-256(0x00 || bytes): RFC 6962 leaf hash, and the next record's `prev`. */
export function recordHash(bytes: Buffer): Buffer {
  const leaf = Buffer.allocUnsafe(bytes.length + 1);
  leaf[0] = 0;
  bytes.copy(leaf, 1);
  return leafHash(leaf);
}

const leafHash = (leaf: Buffer): Buffer => hash('sha256', leaf, 'buffer');

/** Puts a draft into its place: from here on its bytes are final. */
export function stamp(draft: Draft, place: Place): Stamped {
  const envelope: Record<string, JsonValue> = {
    v: 1,
    id: draft.id,
    stream: place.stream,
    seq: place.seq,
    prev: place.prev === null ? null : place.prev.toString('hex'),
    type: draft.type,
    time: draft.time,
    ...(draft.members as Record<string, JsonValue>),
  };
  if (draft.type === 'session.closed' && place.prev !== null) {
    envelope['last_seq'] = place.seq - 1;
    envelope['last_head'] = place.prev.toString('hex');
  }
  if (draft.disclosures.length > 0) {
    envelope['_sd_alg'] = 'sha-256';
    envelope['_sd'] = draft.disclosures.map((d) => d.digest).sort();
  }
  // The leaf around the record is made with it, so that neither is copied to be hashed.
  const leaf = Buffer.from(`\0${canonicalJson(envelope)}`, 'utf8');
  const bytes = leaf.subarray(1);
  if (bytes.length > MAX_RECORD_BYTES || draft.disclosures.length > MAX_DISCLOSURES) {
    throw new OrchestratorError(
      'payload_too_large',
      `event ${draft.id} (${draft.type}) would need a record of ${bytes.length} bytes with ${draft.disclosures.length} disclosures; ` +
        `at most ${MAX_RECORD_BYTES} bytes and ${MAX_DISCLOSURES} disclosures can be recorded`,
    );
  }
  return { bytes, hash: leafHash(leaf) };
}
