/** A bundle as one .tar.gz file. Only what a bundle consists of is packed and unpacked: an archive from elsewhere writes nowhere else. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { extract, pack } from 'tar-stream';
import { OrchestratorError } from '../../kernel/errors.js';

const FILES = /^(manifest\.json|records\.ndjson|context\.ndjson|disclosures\.ndjson|leaves|checkpoint|prov\.json|README\.md|verify\.mjs)$/;
const FILES_IN = /^(proofs\/[0-9a-f]{64}\.tlog-proof|consistency\/\d{1,19})$/;
/** A small archive may unpack to more than any disk holds. */
const MAX_UNPACKED = 64 * 1024 ** 3;

export const isArchive = (path: string): boolean => /\.(tar\.gz|tgz)$/.test(path);

export async function packBundle(directory: string, archive: string): Promise<void> {
  const partial = `${archive}.partial`;
  const tar = pack();
  const written = pipeline(tar, createGzip(), createWriteStream(partial));
  written.catch((error: Error) => tar.destroy(error));
  try {
    for (const name of await filesOf(directory)) {
      const { size } = await stat(join(directory, name));
      await pipeline(createReadStream(join(directory, name)), tar.entry({ name, size, mode: 0o644, mtime: new Date(0) }));
    }
    tar.finalize();
    await written;
    await rename(partial, archive);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** The manifest first, so that whoever reads along knows what comes. */
async function filesOf(directory: string): Promise<string[]> {
  const names = (await readdir(directory, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
  const files = names.filter((name) => FILES.test(name) || FILES_IN.test(name)).sort();
  return ['manifest.json', ...files.filter((name) => name !== 'manifest.json')];
}

/** The bundle as a directory, which an archive is unpacked into for as long as it is open. */
export async function openBundle(path: string): Promise<{ directory: string; close(): Promise<void> }> {
  const found = await stat(path).catch(() => null);
  if (found === null) throw new OrchestratorError('not_found', `there is no bundle at ${path}`);
  if (found.isDirectory()) return { directory: path, close: async () => undefined };
  const directory = await mkdtemp(join(tmpdir(), 'bundle-'));
  const close = () => rm(directory, { recursive: true, force: true });
  try {
    await unpackBundle(path, directory);
    return { directory, close };
  } catch (error) {
    await close();
    throw error instanceof OrchestratorError ? error : notABundle(path, (error as Error).message);
  }
}

/** Into a directory that exists and is empty. */
export async function unpackBundle(archive: string, directory: string, limit = MAX_UNPACKED): Promise<void> {
  for (const inner of ['proofs', 'consistency']) await mkdir(join(directory, inner));
  const tar = extract();
  const unpacked = pipeline(createReadStream(archive), createGunzip(), bounded(limit), tar);
  unpacked.catch(() => undefined); // told by the loop, or below
  for await (const entry of tar) {
    const { name, type } = entry.header;
    if (type === 'directory') entry.resume();
    else if (type !== 'file' || !(FILES.test(name) || FILES_IN.test(name)))
      throw notABundle(archive, `it has ${type} ${JSON.stringify(name)}`);
    else await pipeline(entry, createWriteStream(join(directory, name), { flags: 'wx' }));
  }
  await unpacked;
}

function bounded(limit: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > limit) done(new OrchestratorError('payload_too_large', `unpacked the archive has more than ${limit} bytes`));
      else done(null, chunk);
    },
  });
}

const notABundle = (archive: string, why: string) => new OrchestratorError('invalid_request', `${archive} is no bundle: ${why}`);
