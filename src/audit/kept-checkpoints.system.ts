/** Checkpoints that were kept outside the database, for verify to hold the ledger against. */
import { readdir } from 'node:fs/promises';
import { CheckpointDirectory } from '../ledger/checkpoint-dir.system.js';
import type { KnownCheckpoint } from './verify-tree.js';

/** The newest of each log in CHECKPOINT_DIR. */
export async function keptCheckpoints(directory: string): Promise<KnownCheckpoint[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []; // nothing was signed yet
    throw error;
  });
  const names = entries.filter((entry) => !entry.isFile()).map(({ name }) => name);
  const newest = await Promise.all(names.map((name) => new CheckpointDirectory(directory).newest(decodeURIComponent(name))));
  return newest.flatMap((kept) => (kept ? [{ note: kept.note, from: kept.file }] : []));
}
