import { recordHash } from '../../src/ledger/record.js';
import { formatTilePath, parseTilePath, subtreesIn, tileOfTree, tilesOf } from '../../src/ledger/tiles.js';
import { consistencyRanges, inclusionRanges, nodeHash, rangeHash, verifyConsistency, verifyInclusion } from '../../src/ledger/tree.js';

const widths = (level: number, size: bigint) => {
  const found: number[] = [];
  for (let index = 0n; ; index++) {
    const { width } = tileOfTree({ level, index }, size);
    if (width === 0) return found;
    found.push(width);
  }
};

describe('tiles', () => {
  it('are as many and as wide as the specification says of 70 000 leaves, and of 256', () => {
    expect([widths(0, 70_000n).length, widths(0, 70_000n).at(-1), widths(1, 70_000n), widths(2, 70_000n), widths(3, 70_000n)]).toEqual([
      274,
      112,
      [256, 17],
      [1],
      [],
    ]);
    expect([widths(0, 256n), widths(1, 256n), widths(0, 0n)]).toEqual([[256], [1], []]);
  });

  it.each([
    [{ index: 1234067n, width: 256 }, 'x001/x234/067'],
    [{ index: 0n, width: 256 }, '000'],
    [{ index: 999n, width: 1 }, '999.p/1'],
    [{ index: 1000n, width: 255 }, 'x001/000.p/255'],
  ])('%j has the path %s', (tile, path) => {
    expect(formatTilePath(tile)).toBe(path);
    expect(parseTilePath(`0/${path}`)).toEqual({ kind: 'tree', level: 0, ...tile });
    expect(parseTilePath(`entries/${path}`)).toEqual({ kind: 'entries', level: 0, ...tile });
    expect(parseTilePath(`63/${path}`)).toMatchObject({ level: 63 });
  });

  it.each([
    '',
    '0',
    '0/',
    '0/0',
    '0/00',
    '0/0000',
    '0/x000/000',
    '0/000/000',
    '0/x001/x000',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/01',
    '0/000.p/1/',
    '0/000.p',
    '00/000',
    '64/000',
    '-1/000',
    '0/../000',
    '0/%30%30%30',
    'entry/000',
  ])('%j is no path of one', (path) => {
    expect(parseTilePath(path)).toBeNull();
  });

  it('give the same proofs as the whole tree, also across levels of tiles', () => {
    const size = 66_000;
    const rows = [Array.from({ length: size }, (_, i) => recordHash(Buffer.from(`${i}`)))];
    for (let level = 1; level <= 16; level++) {
      const below = rows[level - 1]!;
      rows.push(Array.from({ length: below.length >> 1 }, (_, i) => nodeHash(below[2 * i]!, below[2 * i + 1]!)));
    }
    const read: string[] = [];
    const proofOf = (ranges: ReturnType<typeof inclusionRanges>, of: bigint) => {
      const tiles = tilesOf(ranges, of);
      read.push(...tiles.map(({ level }) => String(level)));
      const hashes = tiles.map(({ level, index, width }) =>
        Buffer.concat(rows[8 * level]!.slice(Number(index) * 256, Number(index) * 256 + width)),
      );
      return ranges.map((range) => rangeHash(range, subtreesIn(tiles, hashes)));
    };
    const rootOf = (of: bigint) => proofOf([{ start: 0n, end: of }], of)[0]!;
    const [to, root] = [BigInt(size), rootOf(BigInt(size))];
    for (const index of [0n, 1n, 255n, 256n, 65_535n, 65_536n, to - 1n]) {
      const path = proofOf(inclusionRanges(index, to), to);
      expect(verifyInclusion({ index, size: to, leaf: rows[0]![Number(index)]!, path, root })).toBe(true);
    }
    for (const from of [1n, 255n, 256n, 257n, 65_535n, 65_536n, 65_537n, to]) {
      const path = proofOf(consistencyRanges(from, to), to);
      expect(verifyConsistency({ from, to, fromRoot: rootOf(from), toRoot: root, path })).toBe(true);
    }
    expect([...new Set(read)].sort()).toEqual(['0', '1', '2']);
  });
});
