import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { EVENT_COLUMNS, type EventRow, eventById } from '../ledger/read.postgres.js';
import { type ContractFilter, type ContractItem, toItems, WITH_RESPONSE, where } from './contracts.postgres.js';
import { Sessions } from './sessions.postgres.js';

export interface ContractPage {
  readonly contracts: ContractItem[];
  readonly total: number;
  /** False: there are more than 10 000. */
  readonly total_exact: boolean;
  readonly next_cursor: string | null;
}

const COUNT_TO = 10_000;

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
    const [from = 0, after = 0] = parseCursor(page.cursor, /^(\d{1,6})\.(\d{1,15})$/) ?? [];
    const rows: EventRow[] = [];
    let at = from;
    for (; at < streams.length && rows.length <= page.limit; at++) {
      const values: unknown[] = [streams[at], at === from ? after : 0, page.limit + 1 - rows.length];
      rows.push(
        ...(await this.db.query<EventRow>(
          `SELECT ${EVENT_COLUMNS} FROM event e ${WITH_RESPONSE} WHERE e.stream = $1 AND e.seq > $2 AND ${where(filter, values)} ORDER BY e.seq LIMIT $3`,
          values,
        )),
      );
    }
    const shown = rows.slice(0, page.limit);
    const last = shown.at(-1);
    const values: unknown[] = [streams];
    const counted = await this.count(`event e ${WITH_RESPONSE} WHERE e.stream = ANY($1::text[]) AND ${where(filter, values)}`, values);
    const next = rows.length > page.limit && last ? `${streams.indexOf(last.stream)}.${last.seq}` : null;
    return { contracts: await toItems(this.db, shown), ...counted, next_cursor: next };
  }

  private async newestFirst(tenant: string, filter: ContractFilter, page: ListContracts['page']): Promise<ContractPage> {
    const [before] = parseCursor(page.cursor, /^(\d{1,15})$/) ?? [Number.MAX_SAFE_INTEGER];
    // '0' follows '/' in "C": all of the tenant's session streams and nothing else.
    const streams = [`${tenant}/session/`, `${tenant}/session0`];
    const values: unknown[] = [...streams, before, page.limit + 1];
    const rows = await this.db.query<EventRow & { idx: number }>(
      `SELECT ${EVENT_COLUMNS}, l.idx FROM leaf l JOIN event e ON e.id = l.event ${WITH_RESPONSE}
        WHERE e.stream >= $1 AND e.stream < $2 AND l.idx < $3 AND ${where(filter, values)} ORDER BY l.idx DESC LIMIT $4`,
      values,
    );
    const shown = rows.slice(0, page.limit);
    const all: unknown[] = [...streams];
    const counted = await this.count(`event e ${WITH_RESPONSE} WHERE e.stream >= $1 AND e.stream < $2 AND ${where(filter, all)}`, all);
    return {
      contracts: await toItems(this.db, shown),
      ...counted,
      next_cursor: rows.length > page.limit ? String(shown.at(-1)!.idx) : null,
    };
  }

  private async count(from: string, values: unknown[]): Promise<{ total: number; total_exact: boolean }> {
    const [row] = await this.db.query<{ n: number }>(`SELECT count(*) AS n FROM (SELECT 1 FROM ${from} LIMIT ${COUNT_TO + 1}) t`, values);
    return { total: Math.min(row!.n, COUNT_TO), total_exact: row!.n <= COUNT_TO };
  }
}

function parseCursor(cursor: string | undefined, shape: RegExp): number[] | undefined {
  if (cursor === undefined) return undefined;
  const match = shape.exec(cursor);
  if (!match)
    throw new OrchestratorError('invalid_request', `cursor "${cursor.slice(0, 40)}" is not one of this listing; take next_cursor as it is`);
  return match.slice(1).map(Number);
}

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
    const found = await eventById(this.db, id);
    const request = found?.type === 'contract.response' ? await eventById(this.db, found.in_reply_to!) : found;
    if (request?.type !== 'contract.request' || !request.stream.startsWith(`${tenant}/`)) {
      throw new OrchestratorError('not_found', `there is no contract ${id}`);
    }
    const response = await this.db.query<EventRow>(
      `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.in_reply_to = $1 AND e.type = 'contract.response'`,
      [request.event_id],
    );
    const [first, second] = await toItems(this.db, [request, ...response]);
    return { request: first!, response: second ?? null };
  }
}
