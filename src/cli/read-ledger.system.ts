/** The ledger for commands that read it themselves: they open the database, or ask the server that holds the embedded one. */
import { existsSync } from 'node:fs';
import type { Config } from '../config.js';
import { OrchestratorError } from '../kernel/errors.js';
import { readLock } from '../ledger/data-dir-lock.system.js';
import type { Database } from '../ledger/database.postgres.js';
import type { OrchestratorClient, Target } from './orchestrator.client.js';

export interface Ways<T> {
  /** Of another tenant than the default one; a server answers for the tenant of the token. */
  readonly tenant?: string | undefined;
  /** Nobody else has the database, unless it is on a server. Not migrated: whoever reads changes nothing, not even the schema. */
  fromDatabase(db: Database): AsyncIterable<T>;
  fromServer(client: OrchestratorClient): AsyncIterable<T>;
}

/** A server that was named on the command line. */
export interface Said {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
}

export async function* readLedger<T>(settings: Config, ways: Ways<T>, said: Said = {}): AsyncGenerator<T> {
  const target = said.url === undefined ? await holderOf(settings) : await named(settings, said.url, said.token);
  if (target === null) {
    yield* opened(settings, ways);
    return;
  }
  const { from, token } = target;
  if (ways.tenant !== undefined && ways.tenant !== 'default' && token === undefined) {
    const remedy = `set ORCHESTRATOR_TOKEN to a token of that tenant, or read the database without it`;
    throw new OrchestratorError('invalid_request', `${from} and answers for the tenant "default" only; ${remedy}`);
  }
  const { OrchestratorClient } = await import('./orchestrator.client.js');
  yield* ways.fromServer(new OrchestratorClient(target));
}

async function named({ ORCHESTRATOR_TOKEN }: Config, url: string, token = ORCHESTRATOR_TOKEN): Promise<Target> {
  const { findServer } = await import('./find-server.system.js');
  return { ...(await findServer({ url, ...(token !== undefined && { token }) }, {})), from: `${url} was named` };
}

/** Who holds the embedded directory; null: nobody, or the ledger is on a server. */
async function holderOf({ DATABASE_URL, DATA_DIR, HOST, ORCHESTRATOR_TOKEN: token }: Config): Promise<Target | null> {
  const holder = DATABASE_URL === undefined ? await readLock(DATA_DIR) : null;
  if (holder === null) return null;
  const from = `process ${holder.pid} holds ${DATA_DIR}`;
  if (holder.port === null) throw new OrchestratorError('ledger_unavailable', `${from} but serves nothing yet; try again`);
  const { originOf } = await import('./find-server.system.js');
  return { url: originOf(HOST, holder.port), from, token };
}

async function* opened<T>(settings: Config, { fromDatabase }: Ways<T>): AsyncGenerator<T> {
  const { DATABASE_URL: url, DATA_DIR: directory } = settings;
  if (url === undefined && !existsSync(directory)) {
    throw new OrchestratorError(
      'bad_configuration',
      `there is no ledger at ${directory}; set DATA_DIR or DATABASE_URL, or start the server once`,
    );
  }
  const { Database } = await import('../ledger/database.postgres.js');
  const { openEmbedded } = await import('../ledger/embedded.system.js');
  const { openMasterKeys } = await import('../ledger/master-key.system.js');
  const { keys } = await openMasterKeys(settings, { make: false });
  const embedded = url === undefined ? await openEmbedded(directory) : null;
  try {
    const db = await Database.connect({ ...(embedded ? { socket: embedded, poolSize: 1 } : { url: url!, poolSize: 4 }), keys });
    try {
      yield* fromDatabase(db);
    } catch (error) {
      throw unready(error);
    } finally {
      await db.close();
    }
  } finally {
    await embedded?.close();
  }
}

/** A table, or a column, that is not there. */
const LACKING = ['42P01', '42703'];

/** Whoever reads changes nothing: what the schema lacks stays so, and is told. */
function unready(error: unknown): unknown {
  const { code, message } = error as { code?: string; message: string };
  if (!LACKING.includes(code ?? '')) return error;
  const remedy = 'start the orchestrator on it once, or run agent-orchestrator migrate';
  return new OrchestratorError('database_unfit', `there is no ledger of this version in the database (${message}): ${remedy}`, {
    cause: error,
  });
}
