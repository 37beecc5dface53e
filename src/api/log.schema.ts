import { z } from 'zod';
import { Hash, Time, Ulid } from './words.schema.js';

const Size = z.int().min(0);
const NodeHash = z.string().regex(/^[0-9a-f]{64}$/);
const Path = z.array(NodeHash).describe('Hashes from the leaf’s side to the root’s, as RFC 9162 orders them');
const Root = NodeHash.describe('Root of the tree, hex');

/** In a query. */
const TreeSize = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,14})$/, 'must be a number of events')
  .transform(Number);

export const CheckpointQuery = z.strictObject({
  witnessed: z.enum(['true', 'false']).default('false').describe('The newest that a witness has cosigned, with its cosignatures'),
});

export const HalfQuery = z.enum(['request', 'response']).default('response').describe('Which half; the RESPONSE is what a receipt is of');

export const InclusionQuery = z.strictObject({
  contract: Ulid.describe('The id of either half of the contract'),
  of: HalfQuery,
});

export const ConsistencyQuery = z.strictObject({
  from: TreeSize.describe('Size of the older tree'),
  to: TreeSize.optional().describe('Size of the newer tree; that of the newest checkpoint unless given'),
});

export const ProofQuery = z.strictObject({ of: HalfQuery });

export const InclusionProof = z
  .object({
    event_id: Ulid,
    index: Size.describe('Of the leaf, from 0'),
    leaf_hash: Hash,
    path: Path,
    tree_size: Size,
    root: Root,
    checkpoint: z.string().describe('The signed note that vouches for the root'),
  })
  .meta({ id: 'InclusionProof', description: 'That a record stands in the tree of a checkpoint' });

export const ConsistencyProof = z
  .object({ from: Size, to: Size, from_root: Root, to_root: Root, path: Path })
  .meta({ id: 'ConsistencyProof', description: 'That a tree goes on from a smaller one: nothing in it was changed' });

export const LogStatus = z
  .object({
    origin: z.string().nullable().describe('Name of the log; null before the first checkpoint'),
    size: Size.describe('Events in the newest checkpoint'),
    root: Root.nullable(),
    signed_at: Time.nullable(),
    refused: z.string().nullable().describe('Why this process signs nothing; null: it does'),
    logs: z
      .array(z.object({ origin: z.string(), first_idx: Size.describe('From where on it is signed under this name'), size: Size }))
      .describe('Oldest first; the last one is in force'),
    keys: z
      .array(z.object({ origin: z.string(), vkey: z.string(), first_size: Size }))
      .describe('Every key that ever signed, as a verifier key'),
    anchors: z
      .array(
        z.object({
          name: z.string(),
          size: Size.nullable().describe('Of the newest checkpoint it has'),
          at: Time.nullable(),
          error: z.string().nullable().describe('Why it has no newer one'),
        }),
      )
      .describe('Who keeps checkpoints outside'),
  })
  .meta({ id: 'LogStatus' });
