/** Where an export goes: a bundle into a directory or an archive, the formats of others into a file or to stdout. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { isArchive, packBundle } from '../audit/export/archive.system.js';
import { type BundleCounts, writeBundle } from '../audit/export/bundle.system.js';
import { cloudEvents } from '../audit/export/cloud-events.js';
import type { Evidence } from '../audit/export/evidence.js';
import { inToto } from '../audit/export/in-toto.js';
import { otlp } from '../audit/export/otlp.js';
import { provJson } from '../audit/export/prov-document.system.js';
import { TextFile } from '../audit/export/text-file.system.js';
import { OrchestratorError } from '../kernel/errors.js';
import type { Terminal } from '../kernel/terminal.system.js';

export interface ExportTarget {
  readonly format: 'bundle' | 'prov-json' | 'cloudevents' | 'in-toto' | 'otlp';
  readonly output: string | undefined;
  /** File with an Ed25519 private key. */
  readonly signingKey: string | undefined;
}

/** What a bundle holds; null for the other formats. Nothing is left behind if it fails. */
export async function writeExport(
  { format, output, signingKey }: ExportTarget,
  evidence: AsyncIterable<Evidence>,
  stdout: Terminal['stdout'],
): Promise<(BundleCounts & { output: string }) | null> {
  if (output !== undefined && (await stat(output).catch(() => null))) {
    throw new OrchestratorError('invalid_request', `${output} exists already; name another --output or remove it`);
  }
  if (format === 'bundle') {
    if (output === undefined) throw new OrchestratorError('invalid_request', 'a bundle needs --output: a directory, or a file .tar.gz');
    return { output, ...(await bundle(output, evidence)) };
  }
  await write(await textOf(format, evidence, { signingKey, output }), output, stdout);
  return null;
}

async function bundle(output: string, evidence: AsyncIterable<Evidence>): Promise<BundleCounts> {
  if (!isArchive(output)) return writeBundle(output, evidence);
  const directory = `${output}.bundle`;
  try {
    const counts = await writeBundle(directory, evidence);
    await packBundle(directory, output);
    return counts;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function textOf(
  format: Exclude<ExportTarget['format'], 'bundle'>,
  evidence: AsyncIterable<Evidence>,
  { signingKey, output }: Pick<ExportTarget, 'signingKey' | 'output'>,
): Promise<AsyncIterable<string>> {
  if (format === 'prov-json') return provJson(evidence, output === undefined ? tmpdir() : dirname(output));
  if (format === 'cloudevents') return cloudEvents(evidence);
  if (format === 'otlp') return otlp(evidence);
  const key = await privateKey(signingKey);
  return (async function* () {
    yield await inToto(evidence, key);
  })();
}

async function privateKey(path: string | undefined): Promise<KeyObject> {
  const remedy = 'openssl genpkey -algorithm ed25519 -out key.pem makes one';
  if (path === undefined)
    throw new OrchestratorError('invalid_request', `in-toto needs --signing-key, your Ed25519 private key; ${remedy}`);
  const pem = await readFile(path);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below; what openssl says of a bad key helps nobody.
  }
  throw new OrchestratorError('invalid_request', `${path} is no Ed25519 private key in PEM; ${remedy}`);
}

async function write(texts: AsyncIterable<string>, output: string | undefined, stdout: Terminal['stdout']): Promise<void> {
  if (output === undefined) {
    for await (const text of texts) if (stdout.write(text) === false) await once(stdout as NodeJS.WriteStream, 'drain');
    return;
  }
  const partial = `${output}.partial`;
  await rm(partial, { force: true });
  const file = new TextFile(partial);
  try {
    for await (const text of texts) await file.write(text);
    await file.close();
    await rename(partial, output);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}
