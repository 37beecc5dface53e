import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { OrchestratorError } from '../kernel/errors.js';
import { Database } from '../ledger/database.postgres.js';
import { parseCursor } from './cursor.js';

export interface SessionItem {
  readonly session_id: string;
  /** Where the next event goes, unless the session is closed. */
  readonly stream: string;
  readonly state: 'open' | 'closed';
  /** Why it is closed. After `idle` the next task under its name opens a new stream. */
  readonly close_reason: 'requested' | 'idle' | null;
  /** Of all its streams. */
  readonly events: number;
  readonly open_requests: number;
  readonly created_at: string;
  readonly last_event_at: string;
  readonly closed_at: string | null;
  /** Streams that idleness closed, oldest first. */
  readonly earlier_streams: string[];
}

interface SessionListRow {
  readonly name: string;
  readonly first: string;
  readonly stream: string;
  readonly earlier: string[];
  readonly events: number;
  readonly open: number;
  readonly created_at: string;
  readonly last_event_at: string;
  /** The record of session.closed. */
  readonly seal: Buffer | null;
}

/** SQL for what is shown of sessions chosen `from` the table: each by index, nothing reads a session's events. */
const shown = (from: string) => `
  SELECT s.name, s.first, s.stream, s.earlier,
         (SELECT sum(h.seq) FROM stream_head h WHERE h.stream = ANY(s.earlier || s.stream))::bigint AS events,
         (SELECT count(*) FROM open_request o WHERE o.stream = s.stream) AS open,
         (SELECT e.time FROM event e WHERE e.stream = s.first AND e.seq = 1) AS created_at,
         (SELECT e.time FROM stream_head h JOIN event e ON e.stream = h.stream AND e.seq = h.seq WHERE h.stream = s.stream) AS last_event_at,
         (SELECT e.record FROM event e WHERE e.stream = s.stream AND e.type = 'session.closed') AS seal
    FROM (SELECT name, stream, earlier, coalesce(earlier[1], stream) AS first FROM session ${from}) s`;

export class GetSession extends Query<SessionItem> {
  constructor(
    readonly tenant: string,
    readonly session: string,
  ) {
    super();
  }
}

@QueryHandler(GetSession)
export class GetSessionHandler implements IQueryHandler<GetSession> {
  constructor(private readonly db: Database) {}

  async execute({ tenant, session }: GetSession): Promise<SessionItem> {
    const [row] = await this.db.named<SessionListRow>('get_session', shown('WHERE tenant = $1 AND name = $2'), [tenant, session]);
    if (!row) throw new OrchestratorError('not_found', `there is no session "${session}"`);
    return toItem(row);
  }
}

export interface SessionPage {
  readonly sessions: SessionItem[];
  readonly next_cursor: string | null;
}

/** Newest first, by the session's first stream: that never changes, so pages stay put while events arrive. The cursor is that stream's id. */
export class ListSessions extends Query<SessionPage> {
  constructor(
    readonly tenant: string,
    readonly page: { limit: number; cursor?: string | undefined },
  ) {
    super();
  }
}

@QueryHandler(ListSessions)
export class ListSessionsHandler implements IQueryHandler<ListSessions> {
  constructor(private readonly db: Database) {}

  async execute({ tenant, page }: ListSessions): Promise<SessionPage> {
    const [after] = parseCursor(page.cursor, /^([0-9A-HJKMNP-TV-Z]{26})$/) ?? [];
    // '0' follows '/' in "C": above all of the tenant's session streams.
    const below = after === undefined ? `${tenant}/session0` : `${tenant}/session/${after}`;
    const rows = await this.db.named<SessionListRow>(
      'list_sessions',
      `${shown('WHERE tenant = $1 AND coalesce(earlier[1], stream) < $2 ORDER BY coalesce(earlier[1], stream) DESC LIMIT $3')} ORDER BY s.first DESC`,
      [tenant, below, page.limit + 1],
    );
    const sessions = rows.slice(0, page.limit);
    const next = rows.length > page.limit ? sessions.at(-1)!.first.slice(`${tenant}/session/`.length) : null;
    return { sessions: sessions.map(toItem), next_cursor: next };
  }
}

function toItem(row: SessionListRow): SessionItem {
  const seal = row.seal && (JSON.parse(row.seal.toString('utf8')) as { reason: 'requested' | 'idle'; time: string });
  return {
    session_id: row.name,
    stream: row.stream,
    state: seal ? 'closed' : 'open',
    close_reason: seal?.reason ?? null,
    events: row.events,
    open_requests: row.open,
    created_at: row.created_at,
    last_event_at: row.last_event_at,
    closed_at: seal?.time ?? null,
    earlier_streams: row.earlier,
  };
}
