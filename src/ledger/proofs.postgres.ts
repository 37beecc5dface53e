/** Proofs against what is published, made from the tiles when they are asked for. */
import { OrchestratorError } from '../kernel/errors.js';
import { newestCheckpoint, type PublishedCheckpoint } from './checkpoint.postgres.js';
import type { Tx } from './database.postgres.js';
import type { EventRow } from './read.postgres.js';
import { formatProof } from './tlog-proof.js';
import { consistencyRanges, inclusionRanges } from './tree.js';
import { hashesOf } from './tree.postgres.js';

export interface EventProof {
  readonly event: EventRow;
  readonly index: number;
  readonly checkpoint: PublishedCheckpoint;
  readonly path: readonly Buffer[];
}

/** That the event stands in the newest checkpoint. */
export async function proofOf(tx: Tx, event: EventRow): Promise<EventProof> {
  const checkpoint = await mustBePublished(tx);
  const [leaf] = await tx.named<{ idx: number }>('leaf_of_event', 'SELECT idx FROM leaf WHERE event = $1', [event.id]);
  if (leaf === undefined || leaf.idx >= checkpoint.size) {
    const message = `event ${event.event_id} is recorded, and the next checkpoint will have it; try again`;
    throw new OrchestratorError('not_published', message, { retryAfter: 1 });
  }
  const size = BigInt(checkpoint.size);
  return { event, index: leaf.idx, checkpoint, path: await hashesOf(tx, inclusionRanges(BigInt(leaf.idx), size), size) };
}

/** As a file for whoever has a key of the log and nothing else: the record itself comes along. */
export function proofFile({ event, index, checkpoint, path }: EventProof): string {
  return formatProof({ index: BigInt(index), path, checkpoint: signedNote(checkpoint), extra: event.record });
}

export const signedNote = ({ note, cosignatures }: PublishedCheckpoint): string => note + cosignatures;

export interface ConsistencyProof {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: Buffer;
  readonly toRoot: Buffer;
  readonly path: readonly Buffer[];
}

/** That the tree of size `to`, of the newest checkpoint unless given, goes on from that of size `from`. */
export async function consistencyProof(tx: Tx, from: number, to?: number): Promise<ConsistencyProof> {
  const { size } = await mustBePublished(tx);
  const end = to ?? size;
  if (end > size)
    throw new OrchestratorError('not_published', `the newest checkpoint has ${size} events, not ${end}; try again`, { retryAfter: 1 });
  if (from > end) throw new OrchestratorError('invalid_request', `from: ${from} is more than to, which is ${end}`);
  const ends = [from, end].map((each) => ({ start: 0n, end: BigInt(each) }));
  // Two trees: the right edge of the smaller one stands in tiles of the larger.
  const [fromRoot, toRoot, ...path] = await hashesOf(tx, [...ends, ...consistencyRanges(BigInt(from), BigInt(end))], BigInt(end));
  return { from, to: end, fromRoot: fromRoot!, toRoot: toRoot!, path };
}

export async function mustBePublished(tx: Tx): Promise<PublishedCheckpoint> {
  const checkpoint = await newestCheckpoint(tx);
  if (checkpoint) return checkpoint;
  throw new OrchestratorError('not_published', 'no checkpoint of this ledger has been signed yet; GET /v1/log says why', { retryAfter: 1 });
}
