/**
 * The newest checkpoint, kept outside the database: a database that was set back to an older state does not know what it signed since, and would
 * sign another tree of the same size, which nobody could tell from a forgery. A file is named by its size and never changes, so that replicas may
 * share the directory.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OrchestratorError } from '../kernel/errors.js';
import { newId } from '../kernel/ids.system.js';
import { type Checkpoint, readCheckpoint } from './checkpoint.js';

const SUFFIX = '.checkpoint';
const DIGITS = 20;

export interface KeptCheckpoint extends Checkpoint {
  readonly file: string;
  readonly note: string;
}

export class CheckpointDirectory {
  constructor(private readonly directory: string) {}

  /** The newest under this origin; null if there is none. */
  async newest(origin: string): Promise<KeptCheckpoint | null> {
    const last = (await this.files(origin)).at(-1);
    if (last === undefined) return null;
    const file = join(this.of(origin), last);
    let note: string;
    try {
      note = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return this.newest(origin); // another replica has a newer one
      throw error;
    }
    try {
      return { ...readCheckpoint(note), file, note };
    } catch (error) {
      throw new OrchestratorError(
        'bad_configuration',
        `${file} cannot be read: ${(error as Error).message}; restore it from a copy of the directory`,
      );
    }
  }

  /** On the disk when this resolves; what it had before goes. */
  async keep({ origin, size, note }: { origin: string; size: number; note: string }): Promise<void> {
    const directory = this.of(origin);
    const name = String(size).padStart(DIGITS, '0') + SUFFIX;
    await mkdir(directory, { recursive: true });
    const draft = join(directory, `${name}.${newId()}.draft`);
    await written(draft, note);
    await rename(draft, join(directory, name));
    await synced(directory);
    for (const older of await this.files(origin)) if (older < name) await rm(join(directory, older), { force: true });
  }

  private async files(origin: string): Promise<string[]> {
    try {
      return (await readdir(this.of(origin))).filter((name) => /^[0-9]{20}\.checkpoint$/.test(name)).sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  private of(origin: string): string {
    return join(
      this.directory,
      encodeURIComponent(origin).replace(/^\.+/, (dots) => '%2E'.repeat(dots.length)),
    );
  }
}

async function written(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function synced(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
