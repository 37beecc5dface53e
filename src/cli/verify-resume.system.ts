/** Where a verification of a large ledger had come to, in a file, so that one that was cut off can go on. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { VerifyStand } from '../audit/verify.postgres.js';
import { OrchestratorError } from '../kernel/errors.js';

const FORMAT = 'agent-orchestrator verify 2';
const SAVE_MS = 1000;

export class VerifyResume {
  private savedAt = performance.now();

  private constructor(
    private readonly file: string,
    private readonly of: string,
    readonly begun: VerifyStand | null,
    private readonly saveMs: number,
  ) {}

  /** `of`: which ledger; a stand of another one is refused. */
  static async at(file: string, of: string, saveMs = SAVE_MS): Promise<VerifyResume> {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (text === null) return new VerifyResume(file, of, null, saveMs);
    const kept = parsed(text);
    if (kept?.format !== FORMAT)
      throw new OrchestratorError('invalid_request', `${file} is not what verify --resume has written; name another file`);
    if (kept.of !== of) throw new OrchestratorError('invalid_request', `${file} is of another ledger (${kept.of}); name another file`);
    return new VerifyResume(file, of, kept.stand, saveMs);
  }

  async came(stand: VerifyStand): Promise<void> {
    if (performance.now() - this.savedAt < this.saveMs) return;
    const draft = `${this.file}.draft`;
    await writeFile(draft, JSON.stringify({ format: FORMAT, of: this.of, stand }));
    await rename(draft, this.file);
    this.savedAt = performance.now();
  }

  /** It came to its end: the next one begins anew. */
  async done(): Promise<void> {
    await rm(this.file, { force: true });
  }
}

function parsed(text: string): { format: string; of: string; stand: VerifyStand } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
