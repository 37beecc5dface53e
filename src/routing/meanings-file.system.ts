/** Reads what words mean, once, at start. data/meanings.md says where it comes from. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { OrchestratorError } from '../kernel/errors.js';
import { type Meanings, readMeanings } from './meanings.js';

const FILE = fileURLToPath(new URL('../../data/meanings.bin', import.meta.url));
/** It is part of the program: with another one, the same message would go elsewhere. */
const SHA256 = '263933a0de310be5efac8f8d85ab1caa473aad2f906bd269442ed3d93851c374';

export async function meaningsIn(file = FILE): Promise<Meanings> {
  const wrong = (why: string) => new OrchestratorError('bad_configuration', `${file}: ${why}; install the program again`);
  const bytes = await readFile(file).catch((error: Error) => {
    throw wrong(`it cannot be read: ${error.message}`);
  });
  if (createHash('sha256').update(bytes).digest('hex') !== SHA256) throw wrong('it is not the file this version comes with');
  return readMeanings(bytes);
}
