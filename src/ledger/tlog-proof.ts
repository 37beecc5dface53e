/** C2SP tlog-proof: one text file with which anybody who knows a key of the log can check offline that a record stands in it. */
import { OrchestratorError } from '../kernel/errors.js';
import { type OpenedCheckpoint, openCheckpoint, parseSize } from './checkpoint.js';
import { decodeBase64, type VerifierKey } from './note.js';
import { HASH_BYTES, verifyInclusion } from './tree.js';

export interface LogProof {
  readonly index: bigint;
  /** The leaf's sibling first. */
  readonly path: readonly Buffer[];
  /** The signed note, as it is. */
  readonly checkpoint: string;
  /** Whatever came along; ours is the record itself. Nobody vouches for it. */
  readonly extra: Buffer | null;
}

const HEADER = 'c2sp.org/tlog-proof@v1';
const EXTRA = 'extra ';
const MAX_PATH = 64;

export function formatProof({ index, path, checkpoint, extra }: LogProof): string {
  const more = extra === null ? [] : [EXTRA + extra.toString('base64')];
  return `${[HEADER, ...more, `index ${index}`, ...path.map((hash) => hash.toString('base64'))].join('\n')}\n\n${checkpoint}`;
}

export function parseProof(text: string): LogProof {
  const cut = text.indexOf('\n\n');
  if (cut < 0) throw notAProof('it has no checkpoint below an empty line');
  const [header, ...lines] = text.slice(0, cut).split('\n');
  if (header !== HEADER) throw notAProof(`it does not begin with ${HEADER}`);
  const extra = lines[0]?.startsWith(EXTRA) ? decodeBase64(lines.shift()!.slice(EXTRA.length)) : undefined;
  if (extra === null) throw notAProof('what follows extra is no base64');
  const index = /^index (.*)$/.exec(lines.shift() ?? '')?.[1];
  if (index === undefined) throw notAProof('it names no index');
  if (lines.length > MAX_PATH) throw notAProof(`it has more than ${MAX_PATH} hashes`);
  return { index: parseSize(index), path: lines.map(parseHash), checkpoint: text.slice(cut + 2), extra: extra ?? null };
}

function parseHash(line: string): Buffer {
  const hash = decodeBase64(line);
  if (hash?.length !== HASH_BYTES) throw notAProof('a line of its path is no hash');
  return hash;
}

/** The checkpoint in which the leaf is proven to stand, signed by one of `keys`; throws otherwise, saying why. */
export function verifyProof({ index, path, checkpoint }: LogProof, leaf: Buffer, keys: readonly VerifierKey[]): OpenedCheckpoint {
  const opened = openCheckpoint(checkpoint, keys);
  const { size, root } = opened;
  if (!verifyInclusion({ index, size, leaf, path, root })) {
    throw notAProof(
      `the path does not lead from the hash ${leaf.toString('hex')} at index ${index} to the root of the checkpoint of size ${size}`,
    );
  }
  return opened;
}

const notAProof = (why: string) => new OrchestratorError('invalid_request', `this proves nothing: ${why}`);
