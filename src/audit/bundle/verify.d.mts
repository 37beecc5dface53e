/** What the rest of the program uses of verify.mjs, which is plain JavaScript so that it runs anywhere as it is. */
import type { Verdict } from '../verify-verdict.js';

export type BundleVerdict = Verdict & {
  /** Something from outside the bundle vouches for its checkpoint. */
  readonly anchored: boolean;
  readonly bundle: { readonly scope: { readonly kind: string }; readonly made_at: string; readonly only: readonly string[] | null };
};

/** `keys`: verifier keys from outside; `known`: files with checkpoints from outside. Rejects where the bundle cannot be read. */
export function verifyBundle(directory: string, options?: { keys?: readonly string[]; known?: readonly string[] }): Promise<BundleVerdict>;

interface Proof {
  readonly index: bigint;
  readonly size: bigint;
  readonly path: readonly Buffer[];
}

export function rootOfInclusion(proof: Proof, leaf: Buffer): Buffer | null;
export function isConsistent(from: { size: bigint; root: Buffer }, to: { size: bigint; root: Buffer }, path: readonly Buffer[]): boolean;
/** `leaves`: those from `from` on; `proofs`: of the first and the last of them. */
export function rootOfRange(
  from: number,
  leaves: readonly Buffer[],
  size: number,
  proofs: readonly { index: number; path: readonly Buffer[] }[],
): Buffer | undefined;
