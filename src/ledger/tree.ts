/**
 * The Merkle tree of RFC 6962 and RFC 9162 over the hashes of the ledger's records: which parts a root or a proof is made of, and how proofs are
 * verified. Sizes and places are BigInt: in checkpoints and proofs of others they are 64 bits wide.
 */
import { hash } from 'node:crypto';
import { OrchestratorError } from '../kernel/errors.js';

export const HASH_BYTES = 32;

/** Root of the tree without leaves. */
export const EMPTY_ROOT: Buffer = hash('sha256', '', 'buffer');

/** A tree is higher than this only if a size does not fit in 64 bits. */
const MAX_PATH = 64;

/** The leaves from `start` to `end` exclusive, as the RFC cuts the tree: a whole subtree, or what the right edge has of one. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** A whole subtree of 2^level leaves, the `index`-th of its level. */
export interface Subtree {
  readonly level: number;
  readonly index: bigint;
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const both = Buffer.allocUnsafe(1 + 2 * HASH_BYTES);
  both[0] = 1;
  both.set(left, 1);
  both.set(right, 1 + HASH_BYTES);
  return hash('sha256', both, 'buffer');
}

/** Hash over a whole subtree, given the concatenated hashes of 2^n nodes of one level. */
export function subtreeHash(hashes: Buffer): Buffer {
  let row = hashes;
  while (row.length > HASH_BYTES) {
    const above = Buffer.allocUnsafe(row.length / 2);
    for (let at = 0; at < row.length; at += 2 * HASH_BYTES) {
      nodeHash(row.subarray(at, at + HASH_BYTES), row.subarray(at + HASH_BYTES, at + 2 * HASH_BYTES)).copy(above, at / 2);
    }
    row = above;
  }
  return row;
}

/** The whole subtrees a range consists of, from left to right. */
export function subtreesOf({ start, end }: Range): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = start; at < end; ) {
    const level = (end - at).toString(2).length - 1;
    subtrees.push({ level, index: at >> BigInt(level) });
    at += 1n << BigInt(level);
  }
  return subtrees;
}

/** `hashOf` answers for whole subtrees. */
export function rangeHash(range: Range, hashOf: (subtree: Subtree) => Buffer): Buffer {
  const hashes = subtreesOf(range).map(hashOf);
  return hashes.length === 0 ? EMPTY_ROOT : hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** What the inclusion proof of leaf `index` in the tree of `size` consists of: its sibling first, the root's child last. */
export function inclusionRanges(index: bigint, size: bigint): Range[] {
  if (index < 0n || index >= size) throw new OrchestratorError('internal', `a tree of size ${size} has no leaf ${index}`);
  const ranges: Range[] = [];
  let [start, end] = [0n, size];
  while (end - start > 1n) {
    const middle = start + split(end - start);
    if (index < middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  return ranges.reverse();
}

/** What the proof consists of that the tree of size `from` is the beginning of the tree of size `to`. Nothing if there is nothing to prove. */
export function consistencyRanges(from: bigint, to: bigint): Range[] {
  if (from < 0n || from > to) throw new OrchestratorError('internal', `a tree of size ${from} is no beginning of one of size ${to}`);
  if (from === 0n) return [];
  const ranges: Range[] = [];
  let [start, end] = [0n, to];
  while (end !== from) {
    const middle = start + split(end - start);
    if (from <= middle) {
      ranges.push({ start: middle, end });
      end = middle;
    } else {
      ranges.push({ start, end: middle });
      start = middle;
    }
  }
  // From the left edge it is the older root, which whoever verifies has.
  if (start !== 0n) ranges.push({ start, end });
  return ranges.reverse();
}

/** The largest power of two below `n`. */
const split = (n: bigint): bigint => 1n << BigInt((n - 1n).toString(2).length - 1);

export interface Inclusion {
  readonly index: bigint;
  readonly size: bigint;
  readonly leaf: Uint8Array;
  readonly path: readonly Uint8Array[];
  readonly root: Uint8Array;
}

/** RFC 9162, 2.1.3.2. */
export function verifyInclusion({ index, size, leaf, path, root }: Inclusion): boolean {
  if (index < 0n || index >= size || path.length > MAX_PATH || ![leaf, root, ...path].every(isHash)) return false;
  let [node, last] = [index, size - 1n];
  let computed = leaf;
  for (const sibling of path) {
    if (last === 0n) return false;
    if (isRight(node) || node === last) {
      computed = nodeHash(sibling, computed);
      [node, last] = pastEdge(node, last);
    } else computed = nodeHash(computed, sibling);
    [node, last] = [node >> 1n, last >> 1n];
  }
  return last === 0n && isSame(computed, root);
}

export interface Consistency {
  readonly from: bigint;
  readonly to: bigint;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly path: readonly Uint8Array[];
}

/** RFC 9162, 2.1.4.2. An empty tree is the beginning of every tree, and nothing proves it: `from` must be above 0. */
export function verifyConsistency({ from, to, fromRoot, toRoot, path }: Consistency): boolean {
  if (from <= 0n || from > to || path.length > MAX_PATH || ![fromRoot, toRoot, ...path].every(isHash)) return false;
  if (from === to) return path.length === 0 && isSame(fromRoot, toRoot);
  if (path.length === 0) return false;
  const [first, ...rest] = (from & (from - 1n)) === 0n ? [fromRoot, ...path] : path;
  let [node, last] = [from - 1n, to - 1n];
  while (isRight(node)) [node, last] = [node >> 1n, last >> 1n];
  let [older, newer] = [first!, first!];
  for (const sibling of rest) {
    if (last === 0n) return false;
    if (isRight(node) || node === last) {
      older = nodeHash(sibling, older);
      newer = nodeHash(sibling, newer);
      [node, last] = pastEdge(node, last);
    } else newer = nodeHash(newer, sibling);
    [node, last] = [node >> 1n, last >> 1n];
  }
  return last === 0n && isSame(older, fromRoot) && isSame(newer, toRoot);
}

const isRight = (node: bigint): boolean => (node & 1n) === 1n;

/** At the right edge a node has no sibling on some levels: up to where it is a right child, or all the way. */
function pastEdge(node: bigint, last: bigint): [bigint, bigint] {
  while (!isRight(node) && node !== 0n) [node, last] = [node >> 1n, last >> 1n];
  return [node, last];
}

const isHash = (bytes: Uint8Array): boolean => bytes.length === HASH_BYTES;
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
