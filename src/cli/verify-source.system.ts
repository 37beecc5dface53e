/** What `verify` follows: the ledger verified here, on several threads where that helps, or by its server. */
import { readFile } from 'node:fs/promises';
import { keptCheckpoints } from '../audit/kept-checkpoints.system.js';
import type { VerifyMessage, VerifyScope } from '../audit/verify.js';
import type { KnownCheckpoint } from '../audit/verify-tree.js';
import type { Config } from '../config.js';
import type { Database } from '../ledger/database.postgres.js';
import { readLedger, type Said } from './read-ledger.system.js';

export interface VerifySaid extends Said {
  /** On PostgreSQL. */
  readonly threads?: number | undefined;
  /** File in which a verification that is cut off leaves where it was. */
  readonly resume?: string | undefined;
}

export function verifying(config: Config, said: VerifySaid, scope: VerifyScope): AsyncGenerator<VerifyMessage> {
  return readLedger(
    config,
    {
      tenant: scope.session?.tenant,
      fromDatabase: (db) => here(db, config, said, scope),
      async *fromServer(client) {
        const { readMessages } = await import('../audit/verify-wire.js');
        const { session, range, keys, known } = scope;
        yield* readMessages(client.listen('v1/verify', { body: { ...(session && { session_id: session.name }), ...range, keys, known } }));
      },
    },
    said,
  );
}

async function* here(db: Database, config: Config, said: VerifySaid, scope: VerifyScope): AsyncGenerator<VerifyMessage> {
  const [{ verifyLedger }, { defaultThreads, VerifyThreads }, { VerifyResume }] = await Promise.all([
    import('../audit/verify.postgres.js'),
    import('./verify-threads.system.js'),
    import('./verify-resume.system.js'),
  ]);
  const { DATABASE_URL, DATA_DIR, MASTER_KEY, MASTER_KEY_FILE } = config;
  const count = said.threads ?? defaultThreads();
  const alone = DATABASE_URL === undefined || count === 1 || scope.session || scope.range;
  const threads = alone ? null : new VerifyThreads({ DATABASE_URL, DATA_DIR, MASTER_KEY, MASTER_KEY_FILE }, count);
  const resume =
    said.resume === undefined || scope.session || scope.range ? null : await VerifyResume.at(said.resume, await identityOf(db, DATA_DIR));
  try {
    yield* verifyLedger(db, scope, {
      ...(threads && { streams: (facts) => threads.streams(facts) }),
      ...(resume && { begun: resume.begun, came: (stand) => resume.came(stand) }),
    });
    await resume?.done();
  } finally {
    await threads?.close();
  }
}

/** Tells one ledger from another: its first event. */
async function identityOf(db: Database, directory: string): Promise<string> {
  const [first] = await db.query<{ id: string }>('SELECT event_id AS id FROM event ORDER BY event.id LIMIT 1');
  return first?.id ?? directory;
}

/** The files named, and the newest checkpoint of each log in CHECKPOINT_DIR. */
export async function knownCheckpoints({ CHECKPOINT_DIR }: Config, files: readonly string[]): Promise<KnownCheckpoint[]> {
  const named = await Promise.all(files.map(async (from) => ({ from, note: await readFile(from, 'utf8') })));
  return [...named, ...(CHECKPOINT_DIR === undefined ? [] : await keptCheckpoints(CHECKPOINT_DIR))];
}
