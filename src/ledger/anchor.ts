/** Somebody outside who keeps checkpoints, so that not even the operator can change what was signed before without being found out. */

export interface AnchoredCheckpoint {
  readonly origin: string;
  readonly size: bigint;
  /** The signed note. */
  readonly note: string;
}

export interface Anchored {
  /** Signature lines by which a witness vouches for it. */
  readonly cosignatures?: string;
}

/** The path of a consistency proof from a smaller tree, in the order of RFC 9162. */
export type ProveFrom = (size: bigint) => Promise<readonly Buffer[]>;

/**
 * Resolves when the checkpoint is kept. Rejects with a reason an operator understands; it is then tried again, later and later, with the newest
 * checkpoint there is. The same one may come twice.
 */
export abstract class Anchor {
  /** In the status and in the table `anchor`; shows no secret. */
  abstract readonly name: string;
  abstract keep(checkpoint: AnchoredCheckpoint, proveFrom: ProveFrom, signal: AbortSignal): Promise<Anchored>;
}
