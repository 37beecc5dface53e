/**
 * The one way to the database: a TypeORM DataSource for its pool, and below it the pg client, because only that can name a prepared
 * statement. Embedded, the pool holds exactly one connection: a query of `Database` awaited inside a transaction would wait for
 * itself for ever, so code inside `transaction` uses nothing but the `Tx` it is given.
 */
import pg, { type ClientConfig, type Pool, type PoolClient } from 'pg';
import { DataSource } from 'typeorm';
import { OrchestratorError } from '../kernel/errors.js';
import { Keys } from './keys.system.js';

export type Row = Record<string, unknown>;

/** SQL on one connection. bigint comes back as number (idx, seq and id stay far below 2^53), bytea as Buffer. */
export interface Tx {
  /** To the payload that is read and written over it. */
  readonly keys: Keys;
  query<T = Row>(text: string, values?: unknown[]): Promise<T[]>;
  /** A named prepared statement; an unnamed one costs about three times as much for the large append statement. */
  named<T = Row>(name: string, text: string, values: unknown[]): Promise<T[]>;
}

export interface Connection {
  /** A PostgreSQL URL, or the directory of the embedded database's private Unix socket. */
  readonly url?: string;
  readonly socket?: { host: string; port: number };
  readonly poolSize: number;
  /** Absent: payload is not sealed, and what is sealed cannot be read. */
  readonly keys?: Keys | undefined;
}

/**
 * jit: the planner overrates these short statements, and compiling one costs a second where running it costs a millisecond (measured).
 * enable_seqscan: a prepared statement keeps the plan it got when its tables were empty, and a sequential scan chosen then would read the
 * whole ledger with every batch. For the same reason the hot statements look rows up one by one (LATERAL … OFFSET 0, scalar subqueries)
 * instead of leaving the kind of join to the planner.
 * plan_cache_mode: the first five plans of a named statement would be made for its values, which takes longer than running it.
 */
const SESSION = [
  `SET jit = off`,
  `SET enable_seqscan = off`,
  `SET plan_cache_mode = force_generic_plan`,
  `SET default_transaction_isolation = 'read committed'`,
  `SET lock_timeout = '5s'`,
  `SET idle_in_transaction_session_timeout = '5s'`,
  `SET TimeZone = 'UTC'`,
].join(';');
const INT8 = 20;

const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === INT8) return Number;
    return pg.types.getTypeParser(oid, format);
  },
};
export class Database implements Tx {
  /** One process, one connection: nobody else can write. */
  readonly embedded: boolean;
  readonly keys: Keys;

  private constructor(
    private readonly dataSource: DataSource,
    private readonly pool: Pool,
    private readonly config: ClientConfig,
    { socket, keys = Keys.none }: Connection,
  ) {
    this.embedded = socket !== undefined;
    this.keys = keys;
  }

  static async connect(connection: Connection): Promise<Database> {
    const config: ClientConfig = connection.socket
      ? { ...connection.socket, user: 'postgres', database: 'postgres' }
      : { connectionString: connection.url, keepAlive: true };
    const embedded = connection.socket !== undefined;
    const dataSource = new DataSource({
      type: 'postgres',
      logging: false,
      poolErrorHandler: () => undefined, // an idle connection broke; the next query opens another
      extra: {
        ...config,
        types,
        max: embedded ? 1 : connection.poolSize,
        application_name: 'agent-orchestrator',
        connectionTimeoutMillis: 10_000,
        idleTimeoutMillis: embedded ? 0 : 30_000,
        onConnect: (client: PoolClient) => {
          client.on('error', () => undefined); // a broken connection fails its query; without a listener it would end the process
          return client.query(SESSION);
        },
      },
    });
    try {
      await dataSource.initialize();
    } catch (error) {
      const where = connection.url ? ` at ${withoutPassword(connection.url)}` : '';
      const remedy = connection.url ? '; check DATABASE_URL, and that the server is up and lets this user in' : '';
      // Names that resolve to several addresses fail as an AggregateError, whose message is empty.
      const why = (error as Error).message || ((error as AggregateError).errors?.map((e: Error) => e.message).join(', ') ?? String(error));
      throw new OrchestratorError('database_unfit', `cannot connect to the database${where}: ${why}${remedy}`, { cause: error });
    }
    const pool = (dataSource.driver as unknown as { master: Pool }).master;
    return new Database(dataSource, pool, { ...config, types } as ClientConfig, connection);
  }

  async query<T = Row>(text: string, values: unknown[] = []): Promise<T[]> {
    return (await this.pool.query(text, values)).rows as T[];
  }

  async named<T = Row>(name: string, text: string, values: unknown[]): Promise<T[]> {
    return (await this.pool.query({ name, text, values })).rows as T[];
  }

  /** Like `named`, but a connection that does not answer in time is destroyed: the outcome is then unknown. */
  async namedWithin<T = Row>(milliseconds: number, statement: { name: string; text: string; values: unknown[] }): Promise<T[]> {
    const client = await this.pool.connect();
    const timer = setTimeout(() => {
      const { stream } = (client as unknown as { connection: { stream: { destroy(e: Error): void } } }).connection;
      stream.destroy(new Error(`the database did not answer within ${milliseconds} ms`));
    }, milliseconds);
    try {
      const result = await client.query(statement);
      client.release();
      return result.rows as T[];
    } catch (error) {
      client.release(error instanceof pg.DatabaseError && !isInternal(error) ? undefined : (error as Error));
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    const tx: Tx = {
      keys: this.keys,
      query: async <R>(text: string, values: unknown[] = []) => (await client.query(text, values)).rows as R[],
      named: async <R>(name: string, text: string, values: unknown[]) => (await client.query({ name, text, values })).rows as R[],
    };
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work(tx);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((e: Error) => {
        broken = e;
      });
      if (isInternal(error)) broken ??= error as Error;
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** Calls back on every NOTIFY, over a connection of its own that is opened again when it breaks. Only for a real server. */
  listen(channel: string, heard: () => void): () => Promise<void> {
    let stopped = false;
    let client: pg.Client | undefined;
    let timer: NodeJS.Timeout | undefined;
    const open = () => {
      const fresh = new pg.Client({ ...this.config, application_name: 'agent-orchestrator listen' });
      client = fresh;
      const again = () => {
        if (stopped || client !== fresh) return;
        client = undefined;
        fresh.end().catch(() => undefined);
        timer = setTimeout(open, 1000);
        timer.unref();
      };
      fresh.on('error', again);
      fresh.on('end', again);
      fresh.on('notification', heard);
      fresh
        .connect()
        .then(() => fresh.query(`LISTEN ${channel}`))
        .then(heard, again);
    };
    open();
    return async () => {
      stopped = true;
      clearTimeout(timer);
      await client?.end().catch(() => undefined);
    };
  }

  async close(): Promise<void> {
    await this.dataSource.destroy();
  }
}

/**
 * The server's own failure, such as that of a prepared statement whose parameters are of types that a restored dump has made anew: it fails for
 * as long as the connection lives, so that is given up.
 */
const isInternal = (error: unknown) => error instanceof pg.DatabaseError && (error.code?.startsWith('XX') ?? false);

/** What is known after a statement failed: nothing was written for good (`final`), nothing was written this time (`transient`), or nothing is known. */
export function outcomeOf(error: unknown): 'unknown' | 'transient' | 'final' {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return 'unknown';
  if (error.code.startsWith('08') || error.code.startsWith('57P')) return 'unknown';
  if (/^(40|53|55|58|57014|25006)/.test(error.code)) return 'transient';
  return 'final';
}

/** Whether a statement failed because the database is not there, or has no room for it now: worth another try later. */
export function isAway(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return outcomeOf(error) !== 'final';
  // Of broken and refused connections pg passes on what the socket said, or has only words.
  const { code, message } = error as { code?: unknown; message?: unknown };
  return (
    /^E(?!RR_)[A-Z]+$/.test(String(code)) || /connection (terminated|error)|trying to connect|did not answer within/i.test(String(message))
  );
}

export function withoutPassword(url: string): string {
  return url.replace(/\/\/([^:@/]*):[^@/]*@/, '//$1:***@');
}
