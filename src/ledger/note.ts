/**
 * C2SP signed notes: a text and the Ed25519 signatures of named keys below it, and the texts by which such keys are passed on. Both kinds of key are written
 * as Go's tools write them. A verifier key may also be a witness's, whose signature bears a time (tlog-cosignature).
 */
import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import { OrchestratorError } from '../kernel/errors.js';

/** What signs: the text itself, or a witness the text with a time. */
const ED25519 = 1;
const COSIGNATURE = 4;

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const ID_BYTES = 4;
const TIME_BYTES = 8;
const MAX_NOTE_BYTES = 1024 * 1024;
const MAX_SIGNATURES = 100;
/** What stands before a raw Ed25519 key in DER. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface VerifierKey {
  readonly name: string;
  /** 8 hex digits. With the name it says which key made a signature. */
  readonly id: string;
  readonly kind: 'signature' | 'cosignature';
  /** The raw public key. */
  readonly bytes: Buffer;
}

export interface SignerKey {
  readonly name: string;
  readonly id: string;
  /** 32 bytes; a secret. */
  readonly seed: Buffer;
}

export interface Signature {
  readonly name: string;
  readonly id: string;
  readonly bytes: Buffer;
}

export interface Note {
  /** Ends with a newline. */
  readonly text: string;
  readonly signatures: readonly Signature[];
}

/** Not empty, without spaces of any kind, controls or a plus. */
export const isKeyName = (name: string): boolean => name.isWellFormed() && /^[^\p{White_Space}\p{Cc}+]+$/u.test(name);

/** `<name>+<id>+<base64 of kind and key>` */
export function parseVerifierKey(text: string): VerifierKey {
  const [, name, id, key] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  const bytes = decodeBase64(key ?? '');
  if (name === undefined || !isKeyName(name) || bytes?.length !== 1 + KEY_BYTES) throw notAKey('verifier key');
  const type = bytes[0];
  if (type !== ED25519 && type !== COSIGNATURE) throw notAKey('verifier key of a kind known here');
  if (keyId(name, bytes) !== id) throw notAKey('verifier key: its id does not fit it');
  return { name, id, kind: type === ED25519 ? 'signature' : 'cosignature', bytes: bytes.subarray(1) };
}

export function formatVerifierKey({ name, id, kind, bytes }: VerifierKey): string {
  return `${name}+${id}+${Buffer.concat([typed(kind), bytes]).toString('base64')}`;
}

/** `PRIVATE+KEY+<name>+<id>+<base64 of kind and seed>`. Its message never repeats the text: that is the secret. */
export function parseSignerKey(text: string): SignerKey {
  const [, name, id, key] = /^PRIVATE\+KEY\+([^+]*)\+([0-9a-f]{8})\+(.*)$/s.exec(text) ?? [];
  const bytes = decodeBase64(key ?? '');
  if (name === undefined || !isKeyName(name) || bytes?.length !== 1 + KEY_BYTES || bytes[0] !== ED25519)
    throw notAKey('Ed25519 signer key');
  const signer = signerKey(name, bytes.subarray(1));
  if (signer.id !== id) throw notAKey('signer key: its id does not fit it');
  return signer;
}

export function formatSignerKey({ name, id, seed }: SignerKey): string {
  return `PRIVATE+KEY+${name}+${id}+${Buffer.concat([typed('signature'), seed]).toString('base64')}`;
}

/** `seed`: 32 random bytes. */
export function signerKey(name: string, seed: Buffer): SignerKey {
  if (!isKeyName(name))
    throw new OrchestratorError(
      'invalid_request',
      `${JSON.stringify(name)} cannot name a key: it has a space, a control character or a plus, or is empty`,
    );
  return { name, id: keyId(name, Buffer.concat([typed('signature'), publicBytes(seed)])), seed };
}

export function verifierOf({ name, id, seed }: SignerKey): VerifierKey {
  return { name, id, kind: 'signature', bytes: publicBytes(seed) };
}

/** Strict: UTF-8, no control characters, an empty line, and below it signature lines only. */
export function parseNote(note: string | Uint8Array): Note {
  const whole = textOf(note);
  const cut = whole.lastIndexOf('\n\n');
  if (cut < 0 || !whole.endsWith('\n')) throw notANote('it has no signatures below an empty line');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x09\x0b-\x1f]/.test(whole)) throw notANote('it has control characters');
  const lines = whole
    .slice(cut + 2)
    .split('\n')
    .slice(0, -1);
  if (lines.length === 0) throw notANote('it has no signatures');
  if (lines.length > MAX_SIGNATURES) throw notANote(`it has more than ${MAX_SIGNATURES} signatures`);
  return { text: whole.slice(0, cut + 1), signatures: lines.map(parseSignature) };
}

export function parseSignature(line: string): Signature {
  const [, name, encoded] = /^— ([^ ]+) ([^ ]+)$/.exec(line) ?? [];
  const bytes = decodeBase64(encoded ?? '');
  if (name === undefined || !isKeyName(name) || bytes === null || bytes.length <= ID_BYTES)
    throw notANote('a line below its text is no signature');
  return { name, id: bytes.toString('hex', 0, ID_BYTES), bytes: bytes.subarray(ID_BYTES) };
}

export function formatSignature({ name, id, bytes }: Signature): string {
  return `— ${name} ${Buffer.concat([Buffer.from(id, 'hex'), bytes]).toString('base64')}\n`;
}

export function formatNote({ text, signatures }: Note): string {
  return `${text}\n${signatures.map(formatSignature).join('')}`;
}

/** Ed25519 needs no chance: the same text and key give the same signature. */
export function signText(text: string, { name, id, seed }: SignerKey): Signature {
  return { name, id, bytes: sign(null, Buffer.from(text), privateKey(seed)) };
}

/**
 * The keys whose signature is good, in the order of the signatures. Signatures of keys that are not among `known` prove nothing and are passed over; a bad one
 * of a known key spoils the note.
 */
export function signersOf({ text, signatures }: Note, known: readonly VerifierKey[]): VerifierKey[] {
  const signers = new Set<VerifierKey>();
  for (const signature of signatures) {
    const key = known.find(({ name, id }) => name === signature.name && id === signature.id);
    if (key === undefined) continue;
    if (!isSignedBy(key, text, signature.bytes)) throw notANote(`the signature of ${key.name}+${key.id} is not good`);
    signers.add(key);
  }
  return [...signers];
}

function isSignedBy({ kind, bytes }: VerifierKey, text: string, signature: Buffer): boolean {
  const timed = kind === 'cosignature';
  if (signature.length !== SIGNATURE_BYTES + (timed ? TIME_BYTES : 0)) return false;
  const signed = timed ? `cosignature/v1\ntime ${signature.readBigUInt64BE(0)}\n${text}` : text;
  return verify(null, Buffer.from(signed), publicKey(bytes), signature.subarray(-SIGNATURE_BYTES));
}

/** Standard base64 with padding, and nothing that decodes to the same bytes in another way; null otherwise. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

function textOf(note: string | Uint8Array): string {
  if (note.length > MAX_NOTE_BYTES) throw notANote(`it has more than ${MAX_NOTE_BYTES} bytes`);
  if (typeof note === 'string') {
    if (!note.isWellFormed()) throw notANote('it is not well-formed text');
    return note;
  }
  const text = Buffer.from(note).toString('utf8');
  if (Buffer.compare(Buffer.from(text), note) !== 0) throw notANote('it is not UTF-8');
  return text;
}

const typed = (kind: VerifierKey['kind']): Buffer => Buffer.of(kind === 'signature' ? ED25519 : COSIGNATURE);

const keyId = (name: string, typedKey: Buffer): string =>
  hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typedKey]), 'hex').slice(0, 2 * ID_BYTES);

const publicKey = (bytes: Buffer): KeyObject => createPublicKey({ key: Buffer.concat([SPKI, bytes]), format: 'der', type: 'spki' });

const privateKey = (seed: Buffer): KeyObject => createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });

const publicBytes = (seed: Buffer): Buffer =>
  createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);

const notANote = (why: string) => new OrchestratorError('invalid_request', `this is no signed note: ${why}`);
const notAKey = (what: string) => new OrchestratorError('invalid_request', `this is no ${what}`);
