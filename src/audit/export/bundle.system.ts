/** Writes a bundle: a directory that anybody can check with nothing but Node. It gets its name when it is complete. */
import { copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OrchestratorError } from '../../kernel/errors.js';
import { formatProof } from '../../ledger/tlog-proof.js';
import type { Evidence, Piece } from './evidence.js';
import { ProvDocument } from './prov-document.system.js';
import { TextFile } from './text-file.system.js';

export const BUNDLE_FORMAT = 'agent-orchestrator bundle v1';

/** What goes into every bundle as it is. */
const ASSETS = ['verify.mjs', 'README.md'];
const asset = (name: string) => fileURLToPath(new URL(`../bundle/${name}`, import.meta.url));

export interface BundleCounts {
  records: number;
  context: number;
  disclosures: number;
  proofs: number;
}

/** `directory` must not exist. What stands at `<directory>.partial`, left by an export that was cut off, is written anew. */
export async function writeBundle(directory: string, evidence: AsyncIterable<Evidence>): Promise<BundleCounts> {
  const partial = `${directory}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(join(partial, 'proofs'), { recursive: true });
  const bundle = new BundleFiles(partial, await ProvDocument.in(partial));
  try {
    for await (const piece of evidence) await bundle.take(piece);
    const counts = await bundle.close();
    await rename(partial, directory);
    return counts;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

class BundleFiles {
  private readonly counts: BundleCounts = { records: 0, context: 0, disclosures: 0, proofs: 0 };
  private readonly records: TextFile;
  private readonly context: TextFile;
  private readonly disclosures: TextFile;
  private leaves: TextFile | null = null;
  private opening: Piece<'opening'> | null = null;
  private checkpoint: Piece<'checkpoint'> | null = null;

  constructor(
    private readonly directory: string,
    private readonly prov: ProvDocument,
  ) {
    this.records = this.text('records.ndjson');
    this.context = this.text('context.ndjson');
    this.disclosures = this.text('disclosures.ndjson');
  }

  async take(piece: Evidence): Promise<void> {
    await this.prov.take(piece);
    switch (piece.kind) {
      case 'opening':
        this.opening = piece;
        if (piece.scope.kind === 'range') this.leaves = this.text('leaves');
        return;
      case 'event':
        return this.event(piece);
      case 'leaf':
        return this.leaves?.write(`${piece.hash}\n`);
      case 'checkpoint':
        this.checkpoint = piece;
        return writeFile(join(this.directory, 'checkpoint'), piece.note);
      case 'inclusion':
        return this.proof(piece);
      case 'consistency':
        await mkdir(join(this.directory, 'consistency'), { recursive: true });
        return writeFile(join(this.directory, 'consistency', String(piece.from)), piece.path.map((hash) => `${hash}\n`).join(''));
    }
  }

  private async event({ record, disclosures, context }: Piece<'event'>): Promise<void> {
    this.counts[context ? 'context' : 'records'] += 1;
    this.counts.disclosures += disclosures.length;
    await (context ? this.context : this.records).write(`${record}\n`);
    for (const disclosure of disclosures) await this.disclosures.write(`${disclosure}\n`);
  }

  private async proof({ leaf, index, path }: Piece<'inclusion'>): Promise<void> {
    this.counts.proofs += 1;
    const hashes = path.map((hash) => Buffer.from(hash, 'base64'));
    const text = formatProof({ index: BigInt(index), path: hashes, checkpoint: this.checkpoint!.note, extra: null });
    await writeFile(join(this.directory, 'proofs', `${leaf}.tlog-proof`), text);
  }

  async close(): Promise<BundleCounts> {
    const { opening, checkpoint, counts } = this;
    if (opening === null) throw new OrchestratorError('internal', 'an export without an opening');
    for (const file of [this.records, this.context, this.disclosures, this.leaves]) await file?.close();
    const prov = this.text('prov.json');
    for await (const text of this.prov.text()) await prov.write(text);
    await prov.close();
    await this.prov.discard();
    for (const name of ASSETS) await copyFile(asset(name), join(this.directory, name));
    const { scope, only, made_at, made_by } = opening;
    const log = checkpoint && { size: checkpoint.size, keys: checkpoint.keys };
    const manifest = { format: BUNDLE_FORMAT, made_by, made_at, scope, only, log, counts };
    await writeFile(join(this.directory, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    return counts;
  }

  private text(name: string): TextFile {
    return new TextFile(join(this.directory, name));
  }
}
