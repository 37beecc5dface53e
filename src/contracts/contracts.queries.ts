import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { Database } from '../ledger/database.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../ledger/read.postgres.js';
import { ledgerEnd } from '../ledger/sequence.postgres.js';
import { type ContractFilter, type ContractItem, contractHalves, toItems, where } from './contracts.postgres.js';
import { parseCursor } from './cursor.js';
import { Sessions } from './sessions.postgres.js';

export interface ContractPage {
  readonly contracts: ContractItem[];
  readonly total: number;
  /** False: there are more, beyond 10 000 or further back than was looked. */
  readonly total_exact: boolean;
  readonly next_cursor: string | null;
}

const COUNT_TO = 10_000;
/** Events one statement looks at: it holds the only connection of an embedded database (measured: 25 ms on PostgreSQL). */
const LOOK = 10_000;
/** Statements per page: how far back filters that little passes may look. The page is then short, and its cursor goes on from there. */
const LOOKS = 5;

/**
 * Contracts of one session in their order, or of all sessions newest first. The cursor names a place in the ledger, not a page number, so
 * pages stay put while events arrive.
 */
export class ListContracts extends Query<ContractPage> {
  constructor(
    readonly tenant: string,
    readonly session: string | undefined,
    readonly filter: ContractFilter,
    readonly page: { limit: number; cursor?: string | undefined },
  ) {
    super();
  }
}

@QueryHandler(ListContracts)
export class ListContractsHandler implements IQueryHandler<ListContracts> {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
  ) {}

  async execute({ tenant, session, filter, page }: ListContracts): Promise<ContractPage> {
    if (session === undefined) return this.newestFirst(tenant, filter, page);
    const row = await this.sessions.find(tenant, session);
    return this.ofStreams(row ? [...row.earlier, row.stream] : [], filter, page);
  }

  /** Streams that idleness closed come first; cursor = `<stream number>.<seq>`. */
  private async ofStreams(streams: string[], filter: ContractFilter, page: ListContracts['page']): Promise<ContractPage> {
    const [from = 0, after = 0] = parseCursor(page.cursor, /^(\d{1,6})\.(\d{1,15})$/)?.map(Number) ?? [];
    const rows: EventRow[] = [];
    let at = from;
    for (; at < streams.length && rows.length <= page.limit; at++) {
      const values: unknown[] = [streams[at], at === from ? after : 0, page.limit + 1 - rows.length];
      rows.push(
        ...(await this.db.query<EventRow>(
          `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.stream = $1 AND e.seq > $2 AND ${where(filter, values)} ORDER BY e.seq LIMIT $3`,
          values,
        )),
      );
    }
    const shown = rows.slice(0, page.limit);
    const last = shown.at(-1);
    const values: unknown[] = [streams];
    const [counted] = await this.db.query<{ n: number }>(
      `SELECT count(*) AS n FROM (SELECT 1 FROM event e WHERE e.stream = ANY($1::text[]) AND ${where(filter, values)} LIMIT ${COUNT_TO + 1}) t`,
      values,
    );
    const next = rows.length > page.limit && last ? `${streams.indexOf(last.stream)}.${last.seq}` : null;
    return { contracts: await toItems(this.db, shown), ...total(counted!.n, true), next_cursor: next };
  }

  /** Cursor = the idx below which to go on. */
  private async newestFirst(tenant: string, filter: ContractFilter, page: ListContracts['page']): Promise<ContractPage> {
    const [before] = parseCursor(page.cursor, /^(\d{1,15})$/)?.map(Number) ?? [];
    const size = await ledgerEnd(this.db);
    const rows: (EventRow & { idx: number })[] = [];
    let end = Math.min(before ?? size, size);
    for (let looks = 0; end > 0 && rows.length <= page.limit && looks < LOOKS; looks++) {
      const { from, values } = looked(tenant, filter, end);
      const limit = `$${values.push(page.limit + 1 - rows.length)}`;
      rows.push(
        ...(await this.db.query<EventRow & { idx: number }>(
          `SELECT ${EVENT_COLUMNS}, l.idx ${from} ORDER BY l.idx DESC LIMIT ${limit}`,
          values,
        )),
      );
      end = await this.nextLook(end, filter);
    }
    const shown = rows.slice(0, page.limit);
    if (rows.length > page.limit) end = shown.at(-1)!.idx;
    return {
      contracts: await toItems(this.db, shown),
      ...(await this.count(tenant, filter, size)),
      next_cursor: end > 0 ? String(end) : null,
    };
  }

  private async count(tenant: string, filter: ContractFilter, size: number) {
    let n = 0;
    let end = size;
    for (let looks = 0; end > 0 && n <= COUNT_TO && looks < LOOKS; looks++) {
      const { from, values } = looked(tenant, filter, end);
      const [row] = await this.db.query<{ n: number }>(`SELECT count(*) AS n ${from}`, values);
      n += row!.n;
      end = await this.nextLook(end, filter);
    }
    return total(n, end === 0);
  }

  /** 0: nothing further back can match. The order of the ledger is that of the database's clock; no writer's clock is an hour off. */
  private async nextLook(end: number, { since }: ContractFilter): Promise<number> {
    const next = Math.max(0, end - LOOK);
    if (next === 0 || since === undefined) return next;
    const [at] = await this.db.query<{ past: boolean }>(
      `SELECT sequenced_at < $2::timestamptz - interval '1 hour' AS past FROM leaf WHERE idx = $1`,
      [next, since],
    );
    return at?.past ? 0 : next;
  }
}

/**
 * SQL for the contracts of a tenant's sessions among the LOOK events below `end`. Event by event: left to choose, the planner reads all
 * streams of the tenant and sorts them, for each page the whole ledger.
 */
function looked(tenant: string, filter: ContractFilter, end: number): { from: string; values: unknown[] } {
  // '0' follows '/' in "C": all of the tenant's session streams and nothing else.
  const values: unknown[] = [end, end - LOOK, `${tenant}/session/`, `${tenant}/session0`];
  const from = `FROM leaf l CROSS JOIN LATERAL (SELECT * FROM event WHERE id = l.event OFFSET 0) e
    WHERE l.idx < $1 AND l.idx >= $2 AND e.stream >= $3 AND e.stream < $4 AND ${where(filter, values)}`;
  return { from, values };
}

const total = (n: number, all: boolean) => ({ total: Math.min(n, COUNT_TO), total_exact: all && n <= COUNT_TO });

/** Both halves of a contract, found by the id of either. */
export class GetContract extends Query<{ request: ContractItem; response: ContractItem | null }> {
  constructor(
    readonly tenant: string,
    readonly id: string,
  ) {
    super();
  }
}

@QueryHandler(GetContract)
export class GetContractHandler implements IQueryHandler<GetContract> {
  constructor(private readonly db: Database) {}

  async execute({ tenant, id }: GetContract) {
    const { request, response } = await contractHalves(this.db, tenant, id);
    const [first, second] = await toItems(this.db, response ? [request, response] : [request]);
    return { request: first!, response: second ?? null };
  }
}
