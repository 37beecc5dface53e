/** The tree in the database: level 0 is the table `leaf`, the levels of tiles above it stand in `tree_node`. */
import { OrchestratorError } from '../kernel/errors.js';
import { binaryArray } from './binary-array.js';
import type { Tx } from './database.postgres.js';
import { subtreesIn, TILE_WIDTH, type Tile, tilesOf } from './tiles.js';
import { consistencyRanges, HASH_BYTES, type Range, rangeHash, subtreeHash, verifyConsistency } from './tree.js';

/** Tiles that are hashed in one go: some milliseconds, in which the process does nothing else. */
const AT_ONCE = 8;

const READ_TILES = `
SELECT CASE WHEN t.level = 0
  THEN (SELECT string_agg(l.hash, ''::bytea ORDER BY l.idx) FROM leaf l WHERE l.idx >= t.first AND l.idx < t.first + t.width)
  ELSE (SELECT string_agg(n.hash, ''::bytea ORDER BY n.n) FROM tree_node n WHERE n.level = t.level AND n.n >= t.first AND n.n < t.first + t.width)
  END AS hashes
FROM unnest($1::int[], $2::bigint[], $3::int[]) WITH ORDINALITY AS t(level, first, width, place) ORDER BY t.place`;

/** The concatenated hashes of each tile. */
export async function readTiles(tx: Tx, tiles: readonly Tile[]): Promise<Buffer[]> {
  if (tiles.length === 0) return [];
  const rows = await tx.named<{ hashes: Buffer | null }>('read_tiles', READ_TILES, [
    tiles.map((tile) => tile.level),
    tiles.map((tile) => Number(tile.index) * TILE_WIDTH),
    tiles.map((tile) => tile.width),
  ]);
  return rows.map(({ hashes }, i) => {
    const { level, index, width } = tiles[i]!;
    if (hashes?.length === width * HASH_BYTES) return hashes;
    throw new OrchestratorError(
      'internal',
      `the tree has ${(hashes?.length ?? 0) / HASH_BYTES} hashes in tile ${index} of level ${level}, not ${width}`,
    );
  });
}

/** Of the tree of `size`, which must have been grown. */
export async function hashesOf(tx: Tx, ranges: readonly Range[], size: bigint): Promise<Buffer[]> {
  const tiles = tilesOf(ranges, size);
  const hashOf = subtreesIn(tiles, await readTiles(tx, tiles));
  return ranges.map((range) => rangeHash(range, hashOf));
}

/** The root of the tree of size `to` if it goes on from that of size `from` with the root `fromRoot`; null if it does not. */
export async function rootAfter(
  tx: Tx,
  { from, fromRoot, to }: { from: bigint; fromRoot: Buffer | null; to: bigint },
): Promise<Buffer | null> {
  const [toRoot, ...path] = await hashesOf(tx, [{ start: 0n, end: to }, ...consistencyRanges(from, to)], to);
  return from === 0n || verifyConsistency({ from, to, fromRoot: fromRoot!, toRoot: toRoot!, path }) ? toRoot! : null;
}

/**
 * Works out what is missing of the levels above the leaves, up to the tree of `size`, whose leaves must be there. Whoever does it comes to the
 * same hashes, so nobody has to wait for anybody; what is there is looked up each time, since a database may have been set back. With `most`
 * it ends after so many tiles, and says whether it is done.
 */
export async function growTree(tx: Tx, size: number, most = Number.POSITIVE_INFINITY): Promise<boolean> {
  let left = most;
  for (let level = 1, whole = Math.floor(size / TILE_WIDTH); whole > 0; level++, whole = Math.floor(whole / TILE_WIDTH)) {
    for (let grown = await countNodes(tx, level); grown < whole; ) {
      if (left <= 0) return false;
      const next = Math.min(whole, grown + Math.min(left, AT_ONCE));
      await addNodes(tx, level, grown, next);
      left -= next - grown;
      grown = next;
    }
  }
  return true;
}

async function countNodes(tx: Tx, level: number): Promise<number> {
  const [row] = await tx.named<{ n: number }>('count_nodes', 'SELECT coalesce(max(n) + 1, 0) AS n FROM tree_node WHERE level = $1', [
    level,
  ]);
  return row!.n;
}

async function addNodes(tx: Tx, level: number, from: number, to: number): Promise<void> {
  const places = Array.from({ length: to - from }, (_, i) => from + i);
  const tiles = await readTiles(
    tx,
    places.map((n) => ({ level: level - 1, index: BigInt(n), width: TILE_WIDTH })),
  );
  await tx.named(
    'grow_tree',
    'INSERT INTO tree_node (level, n, hash) SELECT $1, t.n, t.hash FROM unnest($2::bigint[], $3::bytea[]) AS t(n, hash) ON CONFLICT DO NOTHING',
    [level, binaryArray('bigint', places), binaryArray('bytea', tiles.map(subtreeHash))],
  );
}
