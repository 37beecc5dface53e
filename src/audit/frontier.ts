import { EMPTY_ROOT, nodeHash } from '../ledger/tree.js';

/** What a tree of any size grows from: the hashes of its whole subtrees, the largest first. */
export class Frontier {
  private readonly heights: number[] = [];
  private readonly hashes: Buffer[] = [];
  size = 0;

  /** `whole` is told of every subtree that is complete now. */
  push(leaf: Buffer, whole: (height: number, hash: Buffer) => void): void {
    let [hash, height] = [leaf, 0];
    this.size += 1;
    for (; this.heights.at(-1) === height; height += 1) {
      this.heights.pop();
      hash = nodeHash(this.hashes.pop()!, hash);
      whole(height + 1, hash);
    }
    this.heights.push(height);
    this.hashes.push(hash);
  }

  root(): Buffer {
    return this.hashes.length === 0 ? EMPTY_ROOT : this.hashes.reduceRight((right, left) => nodeHash(left, right));
  }
}
