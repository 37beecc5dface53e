/** Files with keys in them. A group may read one, as secrets are mounted into containers; everybody may not. */
import { readFile, stat } from 'node:fs/promises';

const OTHERS = 0o007;

/** null: there is no such file. Throws, in words fit to be shown, if it cannot be read, or by too many. */
export async function readSecret(file: string, unusable: (why: string) => Error): Promise<string | null> {
  try {
    const text = await readFile(file, 'utf8');
    const { mode } = await stat(file);
    if ((mode & OTHERS) === 0) return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw unusable((error as Error).message);
  }
  throw unusable(`everybody may read it: chmod 600 ${file}`);
}
