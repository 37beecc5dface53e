/** C2SP checkpoints: the root of a log of this origin at one size, as the text of a signed note. */
import { OrchestratorError } from '../kernel/errors.js';
import { decodeBase64, formatNote, parseNote, type Signature, type SignerKey, signersOf, signText, type VerifierKey } from './note.js';
import { HASH_BYTES } from './tree.js';

export interface TreeHead {
  readonly size: bigint;
  readonly root: Buffer;
}

export interface Checkpoint extends TreeHead {
  readonly origin: string;
  /** Lines below the root. Ours have none. */
  readonly extensions: readonly string[];
}

export interface OpenedCheckpoint extends Checkpoint {
  readonly text: string;
  readonly signatures: readonly Signature[];
  /** The known keys that signed it. */
  readonly signers: readonly VerifierKey[];
}

const MAX_SIZE = 2n ** 64n - 1n;

export function checkpointText(origin: string, { size, root }: TreeHead): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

export function signCheckpoint(origin: string, head: TreeHead, keys: readonly SignerKey[]): string {
  const text = checkpointText(origin, head);
  return formatNote({ text, signatures: keys.map((key) => signText(text, key)) });
}

export function parseCheckpointText(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...more] = text.split('\n');
  const hash = decodeBase64(root);
  if (origin === '') throw notACheckpoint('its first line names no origin');
  if (hash?.length !== HASH_BYTES) throw notACheckpoint('its third line is no hash');
  if (more.pop() !== '' || more.includes('')) throw notACheckpoint('it has an empty line, or its last line has no end');
  return { origin, size: parseSize(size), root: hash, extensions: more };
}

/** Whoever signed it, if anybody did: for those who only want to know what it says. */
export function readCheckpoint(note: string | Uint8Array): Checkpoint {
  return parseCheckpointText(parseNote(note).text);
}

/** A checkpoint signed by one of `keys`; throws otherwise, saying why. */
export function openCheckpoint(note: string | Uint8Array, keys: readonly VerifierKey[]): OpenedCheckpoint {
  const parsed = parseNote(note);
  const signers = signersOf(parsed, keys);
  if (signers.length === 0) {
    const by = parsed.signatures.map(({ name, id }) => `${name}+${id}`).join(', ');
    throw notACheckpoint(`none of the known keys signed it; these did: ${by}`);
  }
  return { ...parseCheckpointText(parsed.text), ...parsed, signers };
}

/** ASCII decimal without leading zeros, at most 64 bits. */
export function parseSize(text: string): bigint {
  const size = /^(0|[1-9][0-9]{0,19})$/.test(text) ? BigInt(text) : -1n;
  if (size < 0n || size > MAX_SIZE)
    throw new OrchestratorError('invalid_request', `${JSON.stringify(text.slice(0, 40))} is no size or index of a log`);
  return size;
}

const notACheckpoint = (why: string) => new OrchestratorError('invalid_request', `this is no checkpoint to rely on: ${why}`);
