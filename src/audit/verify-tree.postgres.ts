/** What the database keeps of the tree and its signatures, for verify to hold against the leaves. */
import type { Tx } from '../ledger/database.postgres.js';
import type { StoredCheckpoint, TreeNode } from './verify-tree.js';

/** All that are kept, in the order of their size. */
export async function signedCheckpoints(tx: Tx): Promise<StoredCheckpoint[]> {
  return tx.query('SELECT origin, size, root, note, cosignatures FROM checkpoint ORDER BY size, signed_at');
}

/** Those of the nodes that the database has; the others can be worked out at any time. */
export async function storedNodes(tx: Tx, nodes: readonly TreeNode[]): Promise<(TreeNode & { readonly stored: Buffer })[]> {
  if (nodes.length === 0) return [];
  const rows = await tx.named<{ level: number; n: number; hash: Buffer }>(
    'verify_nodes',
    'SELECT t.level, t.n, t.hash FROM tree_node t JOIN unnest($1::int[], $2::bigint[]) AS w(level, n) ON t.level = w.level AND t.n = w.n',
    [nodes.map(({ level }) => level), nodes.map(({ n }) => n)],
  );
  const stored = new Map(rows.map(({ level, n, hash }) => [`${level}/${n}`, hash]));
  return nodes.flatMap((node) => {
    const hash = stored.get(`${node.level}/${node.n}`);
    return hash ? [{ ...node, stored: hash }] : [];
  });
}
