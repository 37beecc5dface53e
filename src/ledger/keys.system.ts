/**
 * The keys to the payload. Every stream has a data key of its own that seals its rows (AES-256-GCM); a master key, kept outside the database,
 * wraps the data keys. Whoever destroys a data key has erased what it sealed, row by row or not.
 *
 * All of it is synchronous: it takes a few microseconds a row, less than a turn of the event loop. What is sealed is bound to its name, a
 * wrapped key to its id; what belongs to which event is bound by the digest in the record.
 */
import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { newId, newNonce } from '../kernel/ids.system.js';
import type { StreamKey } from './stream.js';

export const KEY_BYTES = 32;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OPENED = 20_000;

/** Why payload cannot be read. */
export type Sealed = 'no such key' | 'key destroyed' | 'master key not held' | 'damaged';

/** A row of `payload_key`. */
export interface WrappedKey {
  readonly key_id: string;
  readonly master: string;
  /** null: destroyed. */
  readonly wrapped: Buffer | null;
}

export class Keys {
  /** Seals nothing, and opens nothing that is sealed. */
  static readonly none = new Keys([]);
  private readonly masters: ReadonlyMap<string, Buffer>;
  private readonly opened = new LRUCache<string, Buffer>({ max: OPENED });

  /** The first one wraps; all of them unwrap. */
  constructor(masters: readonly Buffer[]) {
    this.masters = new Map(masters.map((key) => [fingerprint(key), key]));
  }

  /** Fingerprints of the master keys, the wrapping one first. */
  get held(): string[] {
    return [...this.masters.keys()];
  }

  /** A new data key, to be written with the first event it seals for; undefined: nothing is sealed here. */
  create(): StreamKey | undefined {
    const [master] = this.masters;
    if (!master) return undefined;
    const id = newId();
    const key = randomBytes(KEY_BYTES);
    this.opened.set(id, key);
    return streamKey(id, key, { master: master[0], wrapped: seal(master[1], id, key) });
  }

  /** The key of a stream that goes on. */
  ofStream(row: WrappedKey): StreamKey | Sealed {
    const key = this.open(row);
    return typeof key === 'string' ? key : streamKey(row.key_id, key, null);
  }

  open(row: WrappedKey): Buffer | Sealed {
    if (row.wrapped === null) return 'key destroyed';
    const known = this.opened.get(row.key_id);
    if (known) return known;
    const master = this.masters.get(row.master);
    if (!master) return 'master key not held';
    const key = unseal(master, row.key_id, row.wrapped);
    if (!key) return 'damaged';
    this.opened.set(row.key_id, key);
    return key;
  }

  /** An opened key is remembered; what it sealed can be read without asking for it again. */
  remembered(id: string): Buffer | undefined {
    return this.opened.get(id);
  }

  forget(ids: readonly string[]): void {
    for (const id of ids) this.opened.delete(id);
  }

  /** The same data key under the master key that wraps now. */
  rewrap(row: WrappedKey): { master: string; wrapped: Buffer } | Sealed {
    const key = this.open(row);
    if (typeof key === 'string') return key;
    const [id, master] = [...this.masters][0]!;
    return { master: id, wrapped: seal(master, row.key_id, key) };
  }
}

const streamKey = (id: string, key: Buffer, fresh: StreamKey['fresh']): StreamKey => ({
  id,
  fresh,
  seal: (name, bytes) => seal(key, name, bytes),
});

/** Shows which master key is meant, and nothing of it: the key is chance. */
export const fingerprint = (master: Buffer): string =>
  hash('sha256', Buffer.concat([Buffer.from('agent-orchestrator master key\n'), master]), 'hex').slice(0, 16);

/** Nonce, ciphertext, tag. */
function seal(key: Buffer, name: string, bytes: Buffer): Buffer {
  const nonce = newNonce(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(Buffer.from(name));
  const ciphertext = cipher.update(bytes);
  cipher.final();
  return Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]);
}

/** null: not what was sealed with this key under this name. */
export function unseal(key: Buffer, name: string, bytes: Buffer): Buffer | null {
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    const opened = decipher.update(bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES));
    decipher.final();
    return opened;
  } catch {
    return null;
  }
}
