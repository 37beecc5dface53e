/** The file with the keys that sign checkpoints: one a line, as Go's tools write them. It is a secret and stays outside the database. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OrchestratorError } from '../kernel/errors.js';
import { readSecret } from '../kernel/secret-file.system.js';
import { formatSignerKey, parseSignerKey, type SignerKey, signerKey } from './note.js';

const OWNER_ONLY = 0o600;

export const newSignerKey = (name: string): SignerKey => signerKey(name, randomBytes(32));

/** null: there is no such file. */
export async function readLogKeys(file: string): Promise<SignerKey[] | null> {
  const text = await readSecret(file, (why) => unusable(file, why));
  if (text === null) return null;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw unusable(file, 'it is empty');
  return lines.map((line, i) => {
    try {
      return parseSignerKey(line);
    } catch (error) {
      throw unusable(file, `line ${i + 1}: ${(error as Error).message}`);
    }
  });
}

/** Never writes over a file that is there: false then. */
export async function createLogKeys(file: string, keys: readonly SignerKey[]): Promise<boolean> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeWhole(file, keys);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unusable(file, (error as Error).message);
  }
}

/** Puts another key in front of those in the file: from the next start on all of them sign. */
export async function addLogKey(file: string, key: SignerKey): Promise<void> {
  const keys = (await readLogKeys(file)) ?? [];
  const draft = `${file}.${process.pid}.draft`;
  await writeWhole(draft, [key, ...keys]);
  await rename(draft, file);
}

async function writeWhole(file: string, keys: readonly SignerKey[]): Promise<void> {
  const handle = await open(file, 'wx', OWNER_ONLY);
  try {
    await handle.writeFile(keys.map((key) => `${formatSignerKey(key)}\n`).join(''));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const unusable = (file: string, why: string) =>
  new OrchestratorError('bad_configuration', `the keys of the log in ${file} cannot be used: ${why}`);
