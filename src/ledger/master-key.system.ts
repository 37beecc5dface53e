/**
 * Where the master key comes from: MASTER_KEY, or a file beside the ledger that the first start makes. Never the database it protects: a copy
 * of that alone shows no payload.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OrchestratorError } from '../kernel/errors.js';
import { readSecret } from '../kernel/secret-file.system.js';
import { KEY_BYTES, Keys } from './keys.system.js';
import type { LedgerSettings } from './ledger.settings.js';

export interface MasterKeys {
  readonly keys: Keys;
  /** Where they come from, fit to be shown. */
  readonly from: string;
  /** Present where they stand in a file. */
  readonly file?: string;
  /** Undoes that this call made the file; absent where it was there. */
  readonly unmake?: () => Promise<void>;
}

type Settings = Pick<LedgerSettings, 'MASTER_KEY' | 'MASTER_KEY_FILE' | 'DATA_DIR'>;

export const masterKeyFile = ({ MASTER_KEY_FILE, DATA_DIR }: Settings): string => MASTER_KEY_FILE ?? `${DATA_DIR.replace(/\/+$/, '')}.key`;

/** `make`: a file that is not there is made. Otherwise nothing is sealed without one, and nothing that is can be read. */
export async function openMasterKeys(settings: Settings, { make }: { make: boolean }): Promise<MasterKeys> {
  const { MASTER_KEY: given } = settings;
  if (given === 'off') return { keys: Keys.none, from: 'MASTER_KEY=off' };
  if (given !== undefined) return { keys: new Keys(given.split(',').map(keyOf)), from: 'MASTER_KEY' };
  const file = masterKeyFile(settings);
  const made = make && (await writeKeys(file, [newMasterKey()], link));
  const found = await readKeys(file);
  const unmake = () => rm(file, { force: true });
  return { keys: new Keys(found), from: file, file, ...(made && { unmake }) };
}

export const newMasterKey = (): Buffer => randomBytes(KEY_BYTES);

/** The keys in a file, the wrapping one first; none if there is no file. */
export async function readKeys(file: string): Promise<Buffer[]> {
  const text = await readSecret(file, (why) => unusable(file, why));
  if (text === null) return [];
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (lines.length === 0) throw unusable(file, 'it holds no key');
  return lines.map((line, i) => {
    const key = keyOf(line);
    if (key.length !== KEY_BYTES) throw unusable(file, `line ${i + 1} of its keys is not ${KEY_BYTES} bytes in base64 or hex`);
    return key;
  });
}

/** Replaces the file, as a whole or not at all. */
export async function replaceKeys(file: string, keys: readonly Buffer[]): Promise<void> {
  await writeKeys(file, keys, rename);
}

const HEAD = `# Master keys of an agent orchestrator; the first one wraps, all of them unwrap. Without them the payload of its ledger cannot be read.
# Keep a copy, and not beside the backups of the database.
`;

/** False: the file was there already (`place` being link). Whatever happens, nobody sees half a file, and nobody else can read it. */
async function writeKeys(file: string, keys: readonly Buffer[], place: typeof link): Promise<boolean> {
  const directory = dirname(file);
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    await mkdir(directory, { recursive: true });
    const text = `${HEAD}${keys.map((key) => `${key.toString('base64')}\n`).join('')}`;
    await writeFile(draft, text, { flag: 'wx', mode: 0o600, flush: true });
    await place(draft, file);
    await synced(directory);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unusable(file, (error as Error).message);
  } finally {
    await rm(draft, { force: true }).catch(() => undefined); // where nothing could be written nothing can be removed
  }
}

/** So that after a power cut the file is there, under its name. */
async function synced(directory: string): Promise<void> {
  const handle = await open(directory);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const keyOf = (text: string): Buffer => (/^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64'));

const unusable = (file: string, why: string) =>
  new OrchestratorError('bad_configuration', `the master key file ${file} cannot be used: ${why}; set MASTER_KEY or MASTER_KEY_FILE`);
