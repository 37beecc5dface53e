/** Where the replay commands read: the database, or the server that holds it. */
import type { z } from 'zod';
import type { ReplayKind, ReplayMessage } from '../audit/replay-wire.js';
import { readConfig } from '../config.js';
import { OrchestratorError } from '../kernel/errors.js';
import { printable } from '../kernel/printable.js';
import type { Terminal } from '../kernel/terminal.system.js';
import type { Database } from '../ledger/database.postgres.js';
import { readLedger } from './read-ledger.system.js';
import { EXIT } from './replay-told.cli.js';

export const WHERE_IT_READS = `
Reads the database itself (DATABASE_URL, else the embedded one in DATA_DIR). While a server holds the embedded directory, that server is
asked, with the token in ORCHESTRATOR_TOKEN, which needs the scope audit.
`;

interface Asked<Item, Result> {
  readonly kind: ReplayKind;
  /** For a server. */
  readonly body: object;
  readonly tenant?: string;
  readonly fromDatabase: (db: Database) => AsyncIterable<ReplayMessage<Item, Result>>;
}

export async function* asked<Item, Result>(terminal: Terminal, { kind, body, tenant, fromDatabase }: Asked<Item, Result>) {
  yield* readLedger<ReplayMessage<Item, Result>>(readConfig({ ...terminal.env }), {
    tenant,
    fromDatabase,
    fromServer: async function* (client) {
      const [{ REPLAYS, LONGEST_LINE }, { readLines }] = [await import('../audit/replay-wire.js'), await import('../audit/verify-wire.js')];
      const bounds = { what: 'did not replay', longest: LONGEST_LINE };
      yield* readLines(client.listen(`v1/replay/${kind}`, { body }), REPLAYS[kind] as z.ZodType<ReplayMessage<Item, Result>>, bounds);
    },
  });
}

/** No such session is an exit code of its own. */
export async function unlessNone(code: Promise<number>, { stderr }: Terminal): Promise<number> {
  try {
    return await code;
  } catch (error) {
    if (!(error instanceof OrchestratorError) || error.code !== 'not_found') throw error;
    stderr.write(`agent-orchestrator replay: ${printable(error.message)}\n`);
    return EXIT.noSession;
  }
}
