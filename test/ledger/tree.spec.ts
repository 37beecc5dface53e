import fc from 'fast-check';
import { recordHash } from '../../src/ledger/record.js';
import {
  consistencyRanges,
  EMPTY_ROOT,
  inclusionRanges,
  nodeHash,
  type Range,
  rangeHash,
  type Subtree,
  subtreeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../src/ledger/tree.js';

const hex = (text: string) => Buffer.from(text, 'hex');

/** The published vectors of certificate-transparency and transparency-dev/merkle: eight leaves, the root at each size, proofs (leaves count from 1). */
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const INCLUSION: [leaf: number, size: number, path: string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [3, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    2,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];
const CONSISTENCY: [from: number, to: number, path: string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
  [
    6,
    7,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
];

/** The RFC's own definition, by recursion over the leaves. */
function mth(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (2 * k < leaves.length) k *= 2;
  return nodeHash(mth(leaves.slice(0, k)), mth(leaves.slice(k)));
}

/** Answers for whole subtrees, each hashed once. */
function over(leaves: readonly Buffer[]) {
  const known = new Map<string, Buffer>();
  const hashOf = ({ level, index }: Subtree): Buffer => {
    if (level === 0) return leaves[Number(index)]!;
    const key = `${level} ${index}`;
    const below = { level: level - 1, index: index * 2n };
    if (!known.has(key)) known.set(key, subtreeHash(Buffer.concat([hashOf(below), hashOf({ ...below, index: below.index + 1n })])));
    return known.get(key)!;
  };
  return hashOf;
}
const hashesOf = (ranges: Range[], hashOf: (subtree: Subtree) => Buffer) => ranges.map((range) => rangeHash(range, hashOf));

const published = LEAVES.map((leaf) => recordHash(hex(leaf)));
const ofPublished = over(published);
const SIZES = Array.from({ length: 130 }, (_, i) => i + 1);
const leaves = SIZES.map((i) => recordHash(Buffer.from(`leaf ${i}`)));
const ofLeaves = over(leaves);
const roots = [EMPTY_ROOT, ...SIZES.map((size) => mth(leaves.slice(0, size)))];

/** Small trees have every shape there is; beyond them the edges of a power of two are where a proof changes its shape. */
const EDGES = [33, 64, 65, 129];
const everyNthBit = (size: number): number => (size <= 10 ? 1 : EDGES.includes(size) ? 8 : 256);

/** Flips bits of every hash a verifier is given, one at a time and back again: it may hold with none of them. Which bits changes with `turn`. */
function flipEach(hashes: readonly Buffer[], { size, turn }: { size: number; turn: number }, holds: () => boolean): number {
  const every = everyNthBit(size);
  let flips = 0;
  for (const [h, hash] of hashes.entries()) {
    for (let bit = (turn + h) % every; bit < 256; bit += every, flips++) {
      hash[bit >> 3]! ^= 1 << (bit & 7);
      if (holds()) throw new Error(`size ${size}, proof ${turn}: it holds with bit ${bit} of hash ${h} flipped`);
      hash[bit >> 3]! ^= 1 << (bit & 7);
    }
  }
  return flips;
}

describe('the tree of RFC 6962', () => {
  it('has the published hashes of nothing, of leaves and of nodes', () => {
    expect(EMPTY_ROOT.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(recordHash(Buffer.from('L123456')).toString('hex')).toBe('395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56');
    const [left, right] = [published[0]!, published[1]!];
    expect(nodeHash(left, right).toString('hex')).toBe(ROOTS[1]);
    expect(rangeHash({ start: 0n, end: 0n }, over([]))).toEqual(EMPTY_ROOT);
  });

  it('has the published roots', () => {
    const found = ROOTS.map((_, i) => rangeHash({ start: 0n, end: BigInt(i + 1) }, ofPublished).toString('hex'));
    expect(found).toEqual(ROOTS);
  });

  it.each(INCLUSION)('has the published proof of leaf %i in the tree of size %i', (leaf, size, path) => {
    const index = BigInt(leaf - 1);
    expect(hashesOf(inclusionRanges(index, BigInt(size)), ofPublished).map((h) => h.toString('hex'))).toEqual(path);
    const proof = { index, size: BigInt(size), leaf: published[leaf - 1]!, path: path.map(hex), root: hex(ROOTS[size - 1]!) };
    expect(verifyInclusion(proof)).toBe(true);
  });

  it.each(CONSISTENCY)('has the published proof from size %i to size %i', (from, to, path) => {
    expect(hashesOf(consistencyRanges(BigInt(from), BigInt(to)), ofPublished).map((h) => h.toString('hex'))).toEqual(path);
    const ends = { from: BigInt(from), to: BigInt(to), fromRoot: hex(ROOTS[from - 1]!), toRoot: hex(ROOTS[to - 1]!) };
    expect(verifyConsistency({ ...ends, path: path.map(hex) })).toBe(true);
  });

  it('has the same roots as the definition for every size to 130', () => {
    for (const size of [0, ...SIZES]) expect(rangeHash({ start: 0n, end: BigInt(size) }, ofLeaves)).toEqual(roots[size]);
  });
});

describe('an inclusion proof', () => {
  it('verifies for every leaf of every size to 130, and for no other leaf, place or size', () => {
    let proofs = 0;
    for (const size of SIZES) {
      for (let i = 0; i < size; i++) {
        const path = hashesOf(inclusionRanges(BigInt(i), BigInt(size)), ofLeaves);
        const proof = { index: BigInt(i), size: BigInt(size), leaf: leaves[i]!, path, root: roots[size]! };
        const wrong = [
          { ...proof, index: BigInt(i ^ 1) },
          { ...proof, index: BigInt(size) },
          { ...proof, index: -1n },
          { ...proof, leaf: leaves[(i + 1) % leaves.length]! },
          { ...proof, root: roots[size - 1]! },
          { ...proof, path: [...path, roots[size]!] },
          ...(path.length > 0 ? [{ ...proof, path: path.slice(0, -1) }] : []),
        ];
        if (!verifyInclusion(proof) || wrong.some(verifyInclusion)) throw new Error(`leaf ${i} of ${size}`);
        proofs += 1;
      }
    }
    expect(proofs).toBe((130 * 131) / 2);
  });

  it('is refused with a bit flipped: any to size 10, one of each byte of size 33, 64, 65 and 129, one of each hash of every size to 130', () => {
    let [turn, flips] = [0, 0];
    for (const size of SIZES) {
      for (let i = 0; i < size; i++, turn++) {
        const place = { index: BigInt(i), size: BigInt(size) };
        const siblings = hashesOf(inclusionRanges(place.index, place.size), ofLeaves);
        const hashes = [leaves[i]!, roots[size]!, ...siblings].map((hash) => Buffer.from(hash));
        const [leaf, root, ...path] = hashes as [Buffer, Buffer, ...Buffer[]];
        const proof = { ...place, leaf, root, path };
        flips += flipEach(hashes, { size, turn }, () => verifyInclusion(proof));
        if (!verifyInclusion(proof)) throw new Error(`leaf ${i} of ${size}`);
      }
    }
    expect(flips).toBeGreaterThan(200_000);
  });

  it('is refused unless every hash has 32 bytes', () => {
    const proof = { index: 0n, size: 2n, leaf: leaves[0]!, path: [leaves[1]!], root: roots[2]! };
    expect(verifyInclusion(proof)).toBe(true);
    for (const short of [Buffer.alloc(0), leaves[1]!.subarray(1), Buffer.concat([leaves[1]!, Buffer.of(0)])]) {
      expect(verifyInclusion({ ...proof, path: [short] })).toBe(false);
      expect(verifyInclusion({ ...proof, leaf: short })).toBe(false);
      expect(verifyInclusion({ ...proof, root: short })).toBe(false);
    }
  });

  it('may be of a tree with 2^64 - 1 leaves, and is never longer than 64 hashes', () => {
    const size = 2n ** 64n - 1n;
    const path = Array.from({ length: 64 }, () => leaves[0]!);
    expect(verifyInclusion({ index: size - 1n, size, leaf: leaves[0]!, path, root: roots[1]! })).toBe(false);
    expect(verifyInclusion({ index: 0n, size, leaf: leaves[0]!, path: [...path, leaves[0]!], root: roots[1]! })).toBe(false);
    expect(inclusionRanges(0n, size)).toHaveLength(64);
  });
});

describe('a consistency proof', () => {
  it('verifies between every two sizes to 130, and between no others', () => {
    for (const to of SIZES) {
      for (let from = 1; from <= to; from++) {
        const path = hashesOf(consistencyRanges(BigInt(from), BigInt(to)), ofLeaves);
        const proof = { from: BigInt(from), to: BigInt(to), fromRoot: roots[from]!, toRoot: roots[to]!, path };
        const wrong = [
          { ...proof, fromRoot: roots[from - 1]! },
          { ...proof, toRoot: roots[to - 1]! },
          { ...proof, path: [...path, roots[from]!] },
          { ...proof, from: BigInt(to + 1) },
          { ...proof, from: 0n },
          ...(path.length > 0
            ? [
                { ...proof, path: path.slice(0, -1) },
                { ...proof, path: [] },
              ]
            : []),
        ];
        if (!verifyConsistency(proof) || wrong.some(verifyConsistency)) throw new Error(`from ${from} to ${to}`);
      }
    }
  });

  it('is refused with a bit of a root or the path flipped: as many of them as of an inclusion proof', () => {
    let [turn, flips] = [0, 0];
    for (const to of SIZES) {
      for (let from = 1; from <= to; from++, turn++) {
        const path = hashesOf(consistencyRanges(BigInt(from), BigInt(to)), ofLeaves);
        const hashes = [roots[from]!, roots[to]!, ...path].map((hash) => Buffer.from(hash));
        const [fromRoot, toRoot, ...rest] = hashes as [Buffer, Buffer, ...Buffer[]];
        const proof = { from: BigInt(from), to: BigInt(to), fromRoot, toRoot, path: rest };
        flips += flipEach(hashes, { size: to, turn }, () => verifyConsistency(proof));
        if (!verifyConsistency(proof)) throw new Error(`from ${from} to ${to}`);
      }
    }
    expect(flips).toBeGreaterThan(200_000);
  });

  it('never verifies for a tree whose beginning was changed, whoever makes the path', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), fc.nat(), (from, more, at) => {
        const to = from + more;
        const forged = leaves.map((leaf, i) => (i === at % from ? recordHash(leaf) : leaf));
        const path = hashesOf(consistencyRanges(BigInt(from), BigInt(to)), over(forged));
        const toRoot = mth(forged.slice(0, to));
        return !verifyConsistency({ from: BigInt(from), to: BigInt(to), fromRoot: roots[from]!, toRoot, path });
      }),
    );
  });

  it('is empty from the empty tree and from a tree to itself, and cannot be asked for backwards', () => {
    expect([consistencyRanges(0n, 5n), consistencyRanges(5n, 5n)]).toEqual([[], []]);
    expect(() => consistencyRanges(6n, 5n)).toThrow(/no beginning/);
    expect(() => inclusionRanges(5n, 5n)).toThrow(/no leaf/);
  });
});
