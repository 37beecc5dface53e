/** Reads the contracts of a session's stream that a block is made of. */
import type { JsonValue } from '../kernel/json.js';
import type { Tx } from '../ledger/database.postgres.js';
import { disclosedValues, payloadsOf } from '../ledger/payload.postgres.js';
import { EVENT_COLUMNS, type EventRow } from '../ledger/read.postgres.js';
import { charactersFor, cutValues, type Source, type SourceContract } from './source.js';

/** Events whose payload is held at once: each may have some megabytes, of which little is kept. */
const PAGE = 20;

const CONTRACT = `e.type IN ('contract.request', 'contract.response')`;

/** What the stream's contract events after `after` are about; null if there is none. */
export async function readSource(tx: Tx, stream: string, after: number, signal: AbortSignal): Promise<Source | null> {
  const [last] = await tx.named<{ seq: number; hash: Buffer }>(
    'last_contract_event',
    `SELECT e.seq, e.hash FROM event e WHERE e.stream = $1 AND e.seq > $2 AND ${CONTRACT} ORDER BY e.seq DESC LIMIT 1`,
    [stream, after],
  );
  if (!last) return null;
  const found = new Contracts(charactersFor(last.seq - after));
  for (let seq = after; seq < last.seq; ) {
    signal.throwIfAborted();
    const rows = await tx.named<EventRow>(
      'contract_events',
      `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.stream = $1 AND e.seq > $2 AND e.seq <= $3 AND ${CONTRACT} ORDER BY e.seq LIMIT ${PAGE}`,
      [stream, seq, last.seq],
    );
    if (rows.length === 0) break;
    await found.add(rows, tx);
    seq = rows.at(-1)!.seq;
  }
  return { contracts: found.inOrder(), from_seq: after + 1, to_seq: last.seq, source_hash: last.hash.toString('hex') };
}

class Contracts {
  private readonly known = new Map<string, SourceContract>();

  constructor(private readonly characters: number) {}

  async add(rows: readonly EventRow[], tx: Tx): Promise<void> {
    const here = new Set(rows.map((row) => row.event_id));
    const events = [...(await this.askedBefore(rows, here, tx)), ...rows];
    const payloads = await payloadsOf(
      tx,
      events.map((row) => row.id),
    );
    for (const row of events) {
      const values = disclosedValues(payloads.get(row.id));
      const contract = row.type === 'contract.request' ? this.requested(row, values) : this.answered(row, values);
      if (contract) this.known.set(contract.id, contract);
    }
  }

  inOrder(): SourceContract[] {
    return [...this.known.values()].sort((a, b) => a.seq - b.seq);
  }

  /** REQUESTs that an earlier block saw open and that are answered here. */
  private async askedBefore(rows: readonly EventRow[], here: ReadonlySet<string>, tx: Tx): Promise<EventRow[]> {
    const ids = rows.flatMap(({ in_reply_to: id }) => (id === null || here.has(id) || this.known.has(id) ? [] : [id]));
    if (ids.length === 0) return [];
    return tx.named('events_by_id', `SELECT ${EVENT_COLUMNS} FROM event e WHERE e.event_id = ANY($1::text[])`, [ids]);
  }

  private requested(row: EventRow, values: Record<string, JsonValue>): SourceContract {
    return {
      id: row.event_id,
      seq: row.seq,
      response: null,
      capability: row.capability,
      agent: row.to_agent,
      status: 'pending',
      error_code: null,
      requested_at: row.time,
      answered_at: null,
      ...cutValues(values, this.characters),
    };
  }

  private answered(row: EventRow, values: Record<string, JsonValue>): SourceContract | undefined {
    const contract = this.known.get(row.in_reply_to ?? '');
    if (!contract) return undefined; // damaged; verify names it
    const more = cutValues(values, this.characters);
    return {
      ...contract,
      response: row.event_id,
      status: row.status ?? contract.status,
      error_code: row.error_code,
      answered_at: row.time,
      values: { ...contract.values, ...more.values },
      size: contract.size + more.size,
      shortened: contract.shortened || more.shortened,
    };
  }
}
