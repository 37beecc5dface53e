/** Opens the ledger's database, embedded or a server, refuses one that would lose what it acknowledged, and brings its schema up to date. */
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from './database.postgres.js';
import { type Embedded, type EmbeddedOptions, openEmbedded } from './embedded.system.js';
import type { Keys } from './keys.system.js';
import type { LedgerSettings } from './ledger.settings.js';
import { migrate } from './migrate.postgres.js';

export interface OpenLedger {
  readonly db: Database;
  /** Null on a server. */
  readonly embedded: Embedded | null;
  readonly migrated: string[];
  close(): Promise<void>;
}

export async function openLedger(
  settings: Pick<LedgerSettings, 'DATABASE_URL' | 'DATABASE_POOL' | 'DATA_DIR'>,
  migrations: string,
  { keys, ...options }: EmbeddedOptions & { readonly keys?: Keys } = {},
): Promise<OpenLedger> {
  const url = settings.DATABASE_URL;
  const embedded = url === undefined ? await openEmbedded(settings.DATA_DIR, options) : null;
  let db: Database | undefined;
  const close = async () => {
    await db?.close();
    await embedded?.close();
  };
  try {
    db = await Database.connect({
      ...(embedded ? { socket: embedded, poolSize: 1 } : { url: url!, poolSize: settings.DATABASE_POOL }),
      keys,
    });
    await refuseUnfit(db);
    const migrated = await migrate(db, migrations);
    return { db, embedded, migrated, close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

async function refuseUnfit(db: Database): Promise<void> {
  const [server] = await db.query<{ version: string; fsync: string; commit: string; replica: boolean }>(
    `SELECT current_setting('server_version_num') AS version, current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit,
            pg_is_in_recovery() AS replica`,
  );
  const { version, fsync, commit, replica } = server!;
  const unfit = (why: string) => new OrchestratorError('database_unfit', `this database cannot keep the ledger: ${why}`);
  if (Number(version) < 150_000) throw unfit(`PostgreSQL 15 or newer is needed, this is ${version}`);
  if (fsync !== 'on') throw unfit('fsync is off, so a power cut loses acknowledged events; set fsync = on');
  if (commit === 'off')
    throw unfit('synchronous_commit is off, so a crash loses acknowledged events; set it to on, at least for this role or database');
  if (replica) throw unfit('it is a read-only replica; name the primary in DATABASE_URL');
}
