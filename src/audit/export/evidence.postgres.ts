/**
 * Reads what is exported, page by page, while others may be writing. Records are immutable; payload may be erased meanwhile, and what
 * explains that is read last. The checkpoint is asked for when the records are read, so that it covers as many as can be; only a range
 * is cut to the checkpoint that stands when it begins.
 */
import { agentStream } from '../../agents/agents.postgres.js';
import { OrchestratorError } from '../../kernel/errors.js';
import { logKeys, newestCheckpoint } from '../../ledger/checkpoint.postgres.js';
import type { Tx } from '../../ledger/database.postgres.js';
import { type PayloadRow, payloadSizes, payloadsOf } from '../../ledger/payload.postgres.js';
import { signedNote } from '../../ledger/proofs.postgres.js';
import { eventById, type PlacedEvent, placedOfStream, sequencedAfter } from '../../ledger/read.postgres.js';
import { ledgerEnd } from '../../ledger/sequence.postgres.js';
import { consistencyRanges, inclusionRanges, type Range } from '../../ledger/tree.js';
import { hashesOf } from '../../ledger/tree.postgres.js';
import { erasuresOfTenant } from '../verify-erasures.postgres.js';
import { tenantOf } from '../verify-payload.js';
import { factsOfStream, sessionNamed } from '../verify-rows.postgres.js';
import { type Evidence, type ExportRequest, erasedBy, membersOf, type Piece, type Scope } from './evidence.js';

const PAGE = 500;
/** Bytes of payload read at once; a single event may have more. */
const HELD_BYTES = 4 * 1024 * 1024;

export interface ExportSource {
  readonly db: Tx;
  readonly madeBy: string;
}

/** A record that a proof will be made for, if the log covers it by then. */
interface Provable {
  readonly stream: string;
  readonly seq: number;
}

export async function* evidenceOf(source: ExportSource, request: ExportRequest): AsyncGenerator<Evidence> {
  const reading = new Reading(source, request);
  const scope = await reading.scope();
  yield { kind: 'opening', scope, only: request.only && [...request.only], made_at: new Date().toISOString(), made_by: source.madeBy };
  yield* reading.records(scope);
  yield* reading.context();
  yield* reading.proofs();
  yield { kind: 'end', events: reading.count };
}

class Reading {
  /** Events that were asked for. */
  count = 0;
  private readonly provable: Provable[] = [];
  /** Hash of an agent's record that a REQUEST names -> the agent. */
  private readonly agents = new Map<string, string>();
  /** Events with fewer disclosures than digests, and streams with the last of them: its proof shows that all were there before what erased them. */
  private readonly lacking = new Map<string, Provable>();
  private readonly shown = new Set<string>();
  private cut: Piece<'checkpoint'> | null = null;

  constructor(
    private readonly source: ExportSource,
    private readonly request: ExportRequest,
  ) {}

  async scope(): Promise<Scope> {
    const { tenant, what } = this.request;
    if ('session' in what) return { kind: 'session', tenant, streams: await this.streamsOf(tenant, what.session) };
    if ('contract' in what) {
      const row = await eventById(this.source.db, what.contract);
      if (!row?.type.startsWith('contract.') || tenantOf(row.stream) !== tenant) {
        throw new OrchestratorError('not_found', `tenant ${tenant} has no contract ${what.contract}`);
      }
      return { kind: 'contract', tenant, contract: row.in_reply_to ?? row.event_id };
    }
    return this.range(tenant, what);
  }

  /** By the session's name, or by one of its streams: a name can be erased. */
  private async streamsOf(tenant: string, session: string): Promise<string[]> {
    const { db } = this.source;
    const found = await sessionNamed(db, { tenant, name: session });
    if (found) return found.streams.map(({ stream }) => stream);
    if (session.startsWith(`${tenant}/session/`) && (await factsOfStream(db, session)).last !== null) return [session];
    throw new OrchestratorError('not_found', `tenant ${tenant} has no session ${JSON.stringify(session)}`);
  }

  private async range(tenant: string, { from, to }: { from: number; to: number }): Promise<Scope> {
    this.cut = await this.checkpoint();
    const end = this.cut?.size ?? (await ledgerEnd(this.source.db));
    const last = Math.min(to, end - 1);
    if (from > last)
      throw new OrchestratorError(
        'not_found',
        `nothing from place ${from} on is ${this.cut ? 'covered by a checkpoint' : 'sequenced'} yet`,
      );
    return { kind: 'range', tenant, from, to: last };
  }

  records(scope: Scope): AsyncGenerator<Evidence> {
    if (scope.kind === 'session') return this.session(scope.streams);
    return scope.kind === 'contract' ? this.contract(scope.contract) : this.leaves(scope);
  }

  private async *session(streams: readonly string[]): AsyncGenerator<Evidence> {
    const { proveAll } = this.request;
    for (const stream of streams) {
      let last = 0;
      for (let rows = await placedOfStream(this.source.db, stream, 0, PAGE); rows.length > 0; ) {
        for await (const event of this.events(rows)) yield event;
        last = rows.at(-1)!.seq;
        if (proveAll) this.provable.push(...rows.map(placeOf));
        rows = await placedOfStream(this.source.db, stream, last, PAGE);
      }
      if (!proveAll) this.provable.push({ stream, seq: last });
    }
  }

  private async *contract(id: string): AsyncGenerator<Evidence> {
    const halves = await this.source.db.query<Provable>(
      `SELECT stream, seq FROM event WHERE event_id = $1 OR (in_reply_to = $1 AND type = 'contract.response') ORDER BY seq`,
      [id],
    );
    for (const place of halves) yield* this.single(place, false);
  }

  private async *leaves({ from, to }: Extract<Scope, { kind: 'range' }>): AsyncGenerator<Evidence> {
    for (let next = from; next <= to; ) {
      const rows = await sequencedAfter(this.source.db, next - 1, Math.min(PAGE, to - next + 1));
      const last = rows.at(-1);
      if (!last) throw new OrchestratorError('ledger_unavailable', `leaf ${next} is missing; agent-orchestrator verify says more`);
      for (const { hash } of rows) yield { kind: 'leaf', hash: hash.toString('hex') };
      yield* this.events(rows.filter(({ stream }) => tenantOf(stream) === this.request.tenant));
      this.provable.push(...rows.filter(({ idx }) => idx === from || idx === to || this.request.proveAll).map(placeOf));
      next = last.idx + 1;
    }
  }

  /** With their payload, of which so much is held at a time. */
  private async *events(rows: readonly PlacedEvent[], context = false): AsyncGenerator<Piece<'event'>> {
    const { db } = this.source;
    const sizes = await payloadSizes(
      db,
      rows.map(({ id }) => id),
    );
    const size = (i: number) => sizes.get(rows[i]!.id)?.bytes ?? 0;
    for (let start = 0; start < rows.length; ) {
      let end = start + 1;
      for (let bytes = size(start); end < rows.length && bytes + size(end) <= HELD_BYTES; end++) bytes += size(end);
      const some = rows.slice(start, end);
      const payloads = await payloadsOf(
        db,
        some.map(({ id }) => id),
      );
      for (const row of some) yield this.event(row, payloads.get(row.id) ?? [], context);
      start = end;
    }
  }

  private event(row: PlacedEvent, payload: readonly PayloadRow[], context: boolean): Piece<'event'> {
    const record = row.record.toString('utf8');
    const { to, to_record, _sd = [] } = membersOf(record);
    const shown = payload.filter(isOpen);
    if (!context) this.count += 1;
    this.shown.add(row.hash.toString('hex'));
    if (to !== undefined && to_record !== undefined) this.agents.set(to_record, to);
    if (_sd.length > shown.length) this.lacking.set(row.event_id, placeOf(row)).set(row.stream, placeOf(row));
    const { only } = this.request;
    const disclosed = shown.filter(({ name }) => only === null || only.includes(name) || (context && name === 'basis'));
    return { kind: 'event', idx: row.idx, record, disclosures: disclosed.map(({ bytes }) => bytes.toString('utf8')), context };
  }

  /** Context comes but once. */
  private async *single(place: Provable, context: boolean): AsyncGenerator<Evidence> {
    const rows = await placedOfStream(this.source.db, place.stream, place.seq - 1, 1);
    if (context && rows.some(({ hash }) => this.shown.has(hash.toString('hex')))) return;
    yield* this.events(rows, context);
    this.provable.push(placeOf(place));
  }

  async *context(): AsyncGenerator<Evidence> {
    for (const [hash, agent] of this.agents) {
      const stream = agentStream(agent);
      const [found] = await this.source.db.query<{ seq: number }>(
        `SELECT seq FROM event WHERE stream = $1 AND type IN ('agent.registered', 'agent.updated') AND hash = decode($2, 'hex')`,
        [stream, hash],
      );
      if (found) yield* this.single({ stream, seq: found.seq }, true);
    }
    const streams = [...this.lacking.keys()].filter((name) => name.includes('/'));
    if (this.cut === null) this.provable.push(...streams.map((stream) => this.lacking.get(stream)!)); // in a range every place is proven
    for (const tenant of new Set(streams.map(tenantOf))) yield* this.erasures(tenant);
  }

  private async *erasures(tenant: string): AsyncGenerator<Evidence> {
    for await (const { record } of erasuresOfTenant(this.source.db, tenant)) {
      if (erasedBy(record).some((erased) => this.lacking.has(erased))) yield* this.single(membersOf(record.toString('utf8')), true);
    }
  }

  async *proofs(): AsyncGenerator<Evidence> {
    const { db } = this.source;
    const checkpoint = this.cut ?? (await this.checkpoint());
    if (checkpoint === null) return;
    yield checkpoint;
    const size = BigInt(checkpoint.size);
    const path = async (ranges: readonly Range[]) => (await hashesOf(db, ranges, size)).map((hash) => hash.toString('base64'));
    const proven = new Set<number>();
    for (const place of this.provable) {
      const covered = await this.covered(place, checkpoint.size);
      if (covered === null || proven.has(covered.idx)) continue;
      const { idx: index, hash } = covered;
      proven.add(index);
      yield { kind: 'inclusion', leaf: hash.toString('hex'), index, path: await path(inclusionRanges(BigInt(index), size)) };
    }
    for (const from of this.request.known) {
      if (from > checkpoint.size) {
        const told = `a checkpoint of ${from} leaves is known, the newest of this log has ${checkpoint.size}`;
        throw new OrchestratorError(
          'invalid_request',
          `${told}: the log was cut, or it is another one; agent-orchestrator verify --known says more`,
        );
      }
      if (from < checkpoint.size) yield { kind: 'consistency', from, path: await path(consistencyRanges(BigInt(from), size)) };
    }
  }

  /** The record at that place, or the last one before it in its stream that the tree has: the links lead from there to all before. */
  private async covered({ stream, seq }: Provable, size: number): Promise<{ idx: number; hash: Buffer } | null> {
    const [row] = await this.source.db.named<{ idx: number; hash: Buffer }>(
      'export_covered',
      `SELECT l.idx, e.hash FROM event e JOIN leaf l ON l.event = e.id WHERE e.stream = $1 AND e.seq <= $2 AND l.idx < $3 ORDER BY e.seq DESC LIMIT 1`,
      [stream, seq, size],
    );
    return row ?? null;
  }

  private async checkpoint(): Promise<Piece<'checkpoint'> | null> {
    const newest = await newestCheckpoint(this.source.db);
    if (newest === null) return null;
    const { origin, size } = newest;
    const keys = (await logKeys(this.source.db)).filter((key) => key.origin === origin);
    return { kind: 'checkpoint', note: signedNote(newest), size, keys: keys.map(({ vkey }) => vkey) };
  }
}

/** What was sealed with a key that is destroyed is gone, as rows that are erased. */
function isOpen({ name, keyId, sealed }: PayloadRow): boolean {
  if (sealed && sealed !== 'key destroyed')
    throw new OrchestratorError('ledger_unavailable', `payload ${name} under key ${keyId} cannot be opened: ${sealed}`);
  return !sealed;
}

const placeOf = ({ stream, seq }: Provable): Provable => ({ stream, seq });
