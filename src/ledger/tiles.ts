/** C2SP tlog-tiles: the tree cut into tiles of 256 hashes, and the paths by which tiles are asked for. */
import { HASH_BYTES, type Range, type Subtree, subtreeHash, subtreesOf } from './tree.js';

/** 2^8 hashes to a tile: every eighth level of the tree is kept, the others are hashed from it. */
const HEIGHT = 8;
export const TILE_WIDTH = 1 << HEIGHT;
const MAX_LEVEL = 63;

/** Hashes `index * 256` and on of a level, as many as `width` says; the rightmost tile of a level has fewer than 256. */
export interface Tile {
  readonly level: number;
  readonly index: bigint;
  readonly width: number;
}

/** A tile as it is in the tree of `size`; its width is 0 where that has none. */
export function tileOfTree({ level, index }: Pick<Tile, 'level' | 'index'>, size: bigint): Tile {
  const left = (size >> BigInt(HEIGHT * level)) - index * BigInt(TILE_WIDTH);
  return { level, index, width: left <= 0n ? 0 : left > TILE_WIDTH ? TILE_WIDTH : Number(left) };
}

const tileOf = ({ level, index }: Subtree): Pick<Tile, 'level' | 'index'> => ({
  level: Math.floor(level / HEIGHT),
  index: (index << BigInt(level % HEIGHT)) >> BigInt(HEIGHT),
});

const keyOf = ({ level, index }: Pick<Tile, 'level' | 'index'>): string => `${level}/${index}`;

/** What must be read of the tree of `size` to hash these ranges of it. */
export function tilesOf(ranges: readonly Range[], size: bigint): Tile[] {
  const tiles = ranges.flatMap(subtreesOf).map(tileOf);
  return [...new Map(tiles.map((tile) => [keyOf(tile), tileOfTree(tile, size)])).values()];
}

/** Answers for the whole subtrees within these tiles. */
export function subtreesIn(tiles: readonly Tile[], hashes: readonly Buffer[]): (subtree: Subtree) => Buffer {
  const read = new Map(tiles.map((tile, i) => [keyOf(tile), hashes[i]!]));
  return (subtree) => {
    const count = 1 << (subtree.level % HEIGHT);
    const from = Number((subtree.index * BigInt(count)) % BigInt(TILE_WIDTH));
    return subtreeHash(read.get(keyOf(tileOf(subtree)))!.subarray(from * HASH_BYTES, (from + count) * HASH_BYTES));
  };
}

/** `<index>[.p/<width>]`, the index in groups of three digits: 1234067 is x001/x234/067. */
export function formatTilePath({ index, width }: Omit<Tile, 'level'>): string {
  const digits = index.toString();
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.../g)!;
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/** What a path under `tile/` names; null where it is none, or written in another way than the one. */
export function parseTilePath(path: string): (Tile & { readonly kind: 'tree' | 'entries' }) | null {
  const [, kind, rest] = /^(entries|0|[1-9][0-9]?)\/(.*)$/.exec(path) ?? [];
  const [, groups, width] = /^((?:x[0-9]{3}\/){0,6}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(rest ?? '') ?? [];
  if (kind === undefined || groups === undefined) return null;
  const tile = {
    kind: kind === 'entries' ? ('entries' as const) : ('tree' as const),
    level: kind === 'entries' ? 0 : Number(kind),
    index: BigInt(groups.replaceAll(/[x/]/g, '')),
    width: width === undefined ? TILE_WIDTH : Number(width),
  };
  return tile.level <= MAX_LEVEL && formatTilePath(tile) === rest ? tile : null;
}
