/** Memory blocks as they stand in the ledger: session.compressed events and their disclosure `memory`. */
import { Sessions, sessionNames } from '../contracts/sessions.postgres.js';
import type { JsonValue } from '../kernel/json.js';
import type { Database, Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadSizes, payloadsNamed } from '../ledger/payload.postgres.js';
import type { EventRow } from '../ledger/read.postgres.js';
import { type MemoryBlock, MemoryContent } from './block.js';

/** Name of the follower that passes blocks on to MemAgent. */
export const MEMAGENT = 'memagent';

export interface StoredBlock {
  readonly id: string;
  readonly stream: string;
  readonly seq: number;
  readonly hash: string;
  readonly time: string;
  readonly content: MemoryContent;
}

type BlockRow = Pick<EventRow, 'id' | 'event_id' | 'stream' | 'seq' | 'time' | 'hash'>;

const COLUMNS = 'e.id, e.event_id, e.stream, e.seq, e.time, e.hash';
const BLOCK = `e.type = 'session.compressed'`;

/** The newest block whose content is still there and that `wanted` takes. */
export async function newestBlock(
  tx: Tx,
  stream: string,
  wanted: (content: MemoryContent) => boolean = () => true,
): Promise<StoredBlock | null> {
  for (let before = Number.MAX_SAFE_INTEGER; ; ) {
    const [row] = await tx.named<BlockRow>(
      'block_before',
      `SELECT ${COLUMNS} FROM event e WHERE e.stream = $1 AND e.seq < $2 AND ${BLOCK} ORDER BY e.seq DESC LIMIT 1`,
      [stream, before],
    );
    if (!row) return null;
    const [block] = await contentsOf(tx, [row]);
    if (block && wanted(block.content)) return block;
    before = row.seq;
  }
}

/** Those whose content was erased are left out. */
export async function contentsOf(tx: Tx, rows: readonly BlockRow[]): Promise<StoredBlock[]> {
  const payloads = await payloadsNamed(
    tx,
    rows.map((row) => row.id),
    'memory',
  );
  return rows.flatMap((row) => {
    const content = disclosedValues(payloads.get(row.id))['memory'];
    if (content === undefined) return [];
    const { event_id: id, stream, seq, time, hash } = row;
    return [{ id, stream, seq, time, hash: hash.toString('hex'), content: MemoryContent.parse(content) }];
  });
}

/**
 * The blocks that may quote these events, as far as their content is still there: whatever read one of them, and whatever was made after
 * such a block, whose statements it was given. `streams`: all of the session, oldest first.
 */
export async function blocksQuoting(tx: Tx, streams: readonly string[], eventIds: readonly string[]): Promise<string[]> {
  const rows = await tx.query<{ id: number; event_id: string; record: Buffer; first: number | null }>(
    `SELECT e.id, e.event_id, e.record, q.first FROM unnest($1::text[]) WITH ORDINALITY s(stream, n) JOIN event e ON e.stream = s.stream AND ${BLOCK}
       LEFT JOIN (SELECT stream, min(seq) AS first FROM event WHERE event_id = ANY($2::text[]) AND type LIKE 'contract.%' GROUP BY stream) q
         ON q.stream = e.stream
      ORDER BY s.n, e.seq`,
    [streams, eventIds],
  );
  const from = rows.findIndex(
    ({ first, record }) => first !== null && (JSON.parse(record.toString('utf8')) as { to_seq: number }).to_seq >= first,
  );
  const quoting = from < 0 ? [] : rows.slice(from);
  const left = await payloadSizes(
    tx,
    quoting.map(({ id }) => id),
    'memory',
  );
  return quoting.filter(({ id }) => left.has(id)).map(({ event_id }) => event_id);
}

/**
 * Blocks of these streams that the event with this row id does not explain, as it stands before them in the order of rows or of leaves, which are
 * not the same; but for those that were erased by themselves.
 */
export async function blocksAfter(tx: Tx, streams: readonly string[], id: number): Promise<string[]> {
  const rows = await tx.query<{ event_id: string }>(
    `SELECT e.event_id FROM event e WHERE e.stream = ANY($1::text[]) AND ${BLOCK}
        AND (e.id > $2 OR EXISTS (SELECT 1 FROM leaf o WHERE o.event = $2 AND NOT EXISTS (SELECT 1 FROM leaf b WHERE b.event = e.id AND b.idx < o.idx)))
        AND NOT EXISTS (SELECT 1 FROM erased x WHERE x.stream = e.stream AND x.event = e.id) ORDER BY e.id`,
    [streams, id],
  );
  return rows.map((row) => row.event_id);
}

/** Which block: the newest, the newest that was sequenced by a time, or a certain one. */
export type BlockChoice = { readonly newest: true } | { readonly by: Date } | { readonly id: string };

const MOST = 100;

export class Blocks {
  constructor(
    private readonly db: Database,
    private readonly sessions: Sessions,
    /** Whether blocks are passed on to MemAgent. */
    private readonly forwarded: boolean,
  ) {}

  /** undefined: there is no such session; null: it has no such block, or none whose content is still there. */
  async find(tenant: string, session: string, choice: BlockChoice = { newest: true }): Promise<MemoryBlock | null | undefined> {
    for (let skip = 0; ; skip++) {
      const found = await this.list({ tenant, session }, choice, { most: 1, skip });
      if (found === undefined) return undefined;
      if (found.blocks[0] || found.total === 0) return found.blocks[0] ?? null;
    }
  }

  /** Newest first, at most a hundred. Streams of the session that idleness closed are older than the current one. */
  async all(tenant: string, session: string): Promise<{ blocks: MemoryBlock[]; total: number } | undefined> {
    return this.list({ tenant, session }, { newest: true }, { most: MOST, skip: 0 });
  }

  /** The newest block as an agent gets it: without what changes after it was recorded. */
  async recall(
    tenant: string,
    session: string,
  ): Promise<{ reference: { memory_block_id: string; hash: string }; block: JsonValue } | null> {
    const found = await this.find(tenant, session);
    if (!found) return null;
    const { memagent: _, ...block } = found;
    return { reference: { memory_block_id: block.memory_block_id, hash: block.receipt.hash }, block: block as unknown as JsonValue };
  }

  /** `total` is 0 behind the last one. */
  private async list(of: { tenant: string; session: string }, choice: BlockChoice, page: { most: number; skip: number }) {
    const row = await this.sessions.find(of.tenant, of.session);
    if (!row) return undefined;
    const streams = [...row.earlier, row.stream];
    const rows = await this.db.named<BlockRow & { total: number }>(
      'blocks_of',
      `SELECT ${COLUMNS}, count(*) OVER () AS total FROM unnest($1::text[]) WITH ORDINALITY s(stream, n) JOIN event e ON e.stream = s.stream AND ${BLOCK}
        WHERE ($2::text IS NULL OR e.event_id = $2)
          AND ($3::timestamptz IS NULL OR EXISTS (SELECT 1 FROM leaf l WHERE l.event = e.id AND l.sequenced_at <= $3))
        ORDER BY s.n DESC, e.seq DESC LIMIT $4 OFFSET $5`,
      [streams, 'id' in choice ? choice.id : null, 'by' in choice ? choice.by : null, page.most, page.skip],
    );
    return { blocks: await this.shown(await contentsOf(this.db, rows)), total: rows[0]?.total ?? 0 };
  }

  async shown(stored: readonly StoredBlock[]): Promise<MemoryBlock[]> {
    const names = await sessionNames(
      this.db,
      stored.map((block) => block.stream),
    );
    const states = this.forwarded ? await deliveries(this.db, stored) : null;
    return stored.map(({ id, stream, seq, hash, time, content }) => ({
      memory_block_id: id,
      session_id: names.get(stream) ?? null,
      ...content,
      compressed_at: time,
      memagent: states?.get(id) ?? (states ? 'waiting' : 'off'),
      receipt: { stream, seq, hash },
    }));
  }
}

async function deliveries(tx: Tx, blocks: readonly StoredBlock[]): Promise<Map<string, MemoryBlock['memagent']>> {
  const rows = await tx.named<{ event_id: string; handled: boolean; parked: boolean; refused: boolean }>(
    'block_deliveries',
    `SELECT e.event_id, l.idx <= f.cursor AS handled,
            p.stream IS NOT NULL AS parked, p.stream IS NOT NULL AND NOT p.due AND p.retry_at IS NULL AS refused
       FROM event e JOIN leaf l ON l.event = e.id JOIN follower f ON f.name = $2
            LEFT JOIN parked p ON p.follower = f.name AND p.stream = e.stream AND p.from_idx <= l.idx
      WHERE e.event_id = ANY($1::text[])`,
    [blocks.map((block) => block.id), MEMAGENT],
  );
  return new Map(rows.map((row) => [row.event_id, row.refused ? 'refused' : row.handled && !row.parked ? 'delivered' : 'waiting']));
}
