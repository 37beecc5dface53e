/** A small ledger on paper: rows as the tables would have them, to be damaged one by one. */

import { type EventFacts, Verification } from '../../src/audit/verify.js';
import { leafDigest, type OrderedLeaf } from '../../src/audit/verify-sequence.js';
import { checkSession, type SessionFacts } from '../../src/audit/verify-session.js';
import type { StreamFacts } from '../../src/audit/verify-stream.js';
import type { Verdict } from '../../src/audit/verify-verdict.js';
import { canonicalJson } from '../../src/kernel/canonical.js';
import type { JsonValue } from '../../src/kernel/json.js';
import { disclose, type EventType, type Members, recordHash, stamp } from '../../src/ledger/record.js';

type Mutable<T> = T extends Buffer | string | number | null ? T : { -readonly [K in keyof T]: Mutable<T[K]> };
export type PaperEvent = Mutable<EventFacts>;

export const SESSION = 'default/session/01K00000000000000000000001';
export const OTHER = 'default/session/01K00000000000000000000002';
export const SYSTEM = 'default/system';
const AT = Date.parse('2026-11-20T10:00:00.000Z') * 1000;
const SALT = 'AAAAAAAAAAAAAAAAAAAAAA';

export class PaperLedger {
  readonly events: PaperEvent[] = [];
  readonly heads = new Map<string, Mutable<NonNullable<StreamFacts['head']>>>();
  readonly open = new Map<string, string[]>();
  readonly sessions: Mutable<SessionFacts>[] = [];
  sequencer: { size: string; at: number } | null = { size: '0', at: AT };
  order: OrderedLeaf[] | null = null;
  private looked: StreamFacts[] | null = null;
  strayPending: string[] = [];
  strayPayload: { event: string; name: string; bytes: Buffer; keyId: string | null }[] = [];

  append(stream: string, type: EventType, members: Members = {}, payload: Record<string, JsonValue> = {}): PaperEvent {
    const before = this.events.filter((e) => e.row.stream === stream).at(-1);
    const n = this.events.length + 1;
    const id = `01K0000000000000000000${String(n).padStart(4, '0')}`;
    const time = new Date(AT / 1000 + n).toISOString();
    const disclosures = Object.entries(payload).map(([name, value]) => disclose(SALT, name, value));
    const seq = Number(before?.row.seq ?? 0) + 1;
    const { bytes, hash } = stamp({ id, type, time, members, disclosures }, { stream, seq, prev: before?.row.hash ?? null });
    const leaf = { idx: String(n - 1), event: String(n), hash, at: AT + n * 1000, digest: Buffer.alloc(0) };
    const event: PaperEvent = {
      row: {
        ...{ id: String(n), event_id: id, stream, seq: String(seq), type, time, record: bytes, hash },
        ...{ task: members.task ?? null, cause: members.cause ?? null, in_reply_to: members.in_reply_to ?? null },
        ...{ from_agent: members.from ?? null, to_agent: members.to ?? null, capability: members.capability ?? null },
        ...{ status: members.status ?? null, error_code: members.error_code ?? null },
      },
      payload: disclosures.map((d) => ({ name: d.name, bytes: d.bytes, keyId: null })),
      standing: { leaves: [{ ...leaf, digest: Buffer.from(leafDigest(leaf), 'hex') }], pending: null },
    };
    this.events.push(event);
    this.heads.set(stream, { seq: String(seq), head: hash, base: before?.row.hash ?? Buffer.alloc(0) });
    this.sequencer = { size: String(n), at: leaf.at };
    const open = this.open.get(stream) ?? [];
    this.open.set(stream, type === 'contract.request' ? [...open, id] : open.filter((one) => one !== members.in_reply_to));
    return event;
  }

  request(stream: string, payload: Record<string, JsonValue> = { parameters: { message: 'secret' } }): PaperEvent {
    return this.append(
      stream,
      'contract.request',
      { status: 'pending', from: 'orchestrator', to: 'echo_agent', capability: 'echo' },
      payload,
    );
  }

  response(request: PaperEvent, message?: string): PaperEvent {
    return this.answer(request.row.stream, request, message);
  }

  answer(stream: string, { row }: PaperEvent, message = 'Echo: secret'): PaperEvent {
    const members: Members = { in_reply_to: row.event_id, cause: row.event_id, status: 'completed', from: 'echo_agent' };
    return this.append(stream, 'contract.response', members, { result: { message } });
  }

  /** The event under another record, with every hash made anew as a forger would, but for the links that follow. */
  rewrite(event: PaperEvent, change: Record<string, JsonValue>): void {
    const members = JSON.parse(event.row.record.toString('utf8')) as Record<string, JsonValue>;
    this.replace(event, Buffer.from(canonicalJson({ ...members, ...change }), 'utf8'));
  }

  replace(event: PaperEvent, record: Buffer): void {
    const { row, standing } = event;
    const old = row.hash;
    Object.assign(row, { record, hash: recordHash(record) });
    const head = this.heads.get(row.stream);
    if (head?.head.equals(old)) head.head = row.hash;
    for (const leaf of standing.leaves) {
      leaf.hash = row.hash;
      leaf.digest = Buffer.from(leafDigest(leaf), 'hex');
    }
  }

  verdict(): Verdict {
    const verification = new Verification();
    const { payload, sequence, tree, report } = verification;
    verification.streams(this.looked ?? this.streams().map((stream) => this.facts(stream)));
    for (const stream of this.streams()) for (const event of this.of(stream)) verification.event(event);
    verification.endStreams();
    for (const id of this.strayPending) sequence.strayPending(id);
    for (const row of this.strayPayload) payload.orphan(row.event, row);
    for (const leaf of this.order ?? this.leaves()) {
      sequence.ordered(leaf);
      tree.leaf(leaf);
    }
    sequence.end(this.sequencer);
    tree.end(AT);
    for (const session of this.sessions) checkSession(session, report);
    sequence.stillLate(sequence.late());
    for (const { row, standing } of this.events) {
      if (row.type === 'payload.erased')
        payload.erasure({ ...row, basis: 'asked for', idx: standing.leaves[0] ? Number(standing.leaves[0].idx) : null });
    }
    return verification.verdict();
  }

  leaves(): OrderedLeaf[] {
    const leaves = this.events.flatMap((e) => e.standing.leaves);
    return leaves.sort((a, b) => Number(a.idx) - Number(b.idx)).map(({ idx, event, at, hash }) => ({ idx, event, at, hash, lost: false }));
  }

  private of(stream: string): PaperEvent[] {
    return this.events.filter((e) => e.row.stream === stream).sort((a, b) => Number(a.row.seq) - Number(b.row.seq));
  }

  /** As verify does before it reads the events: later ones are not its business. */
  lookAtHeads(): void {
    this.looked = this.streams().map((stream) => ({ ...this.facts(stream) }));
  }

  private streams(): string[] {
    return [...new Set([...this.events.map((e) => e.row.stream), ...this.heads.keys()])].sort();
  }

  private facts(stream: string): StreamFacts {
    return {
      stream,
      last: this.of(stream).at(-1)?.row.seq ?? null,
      head: this.heads.get(stream) ?? null,
      open: this.open.get(stream) ?? [],
      erased: null,
    };
  }
}

/** Two sessions and the system stream; in the first: two answered REQUESTs, an open one. */
export function soundLedger() {
  const ledger = new PaperLedger();
  const first = ledger.request(SESSION, { session: 'my chat', parameters: { message: 'secret' } });
  const answer = ledger.response(first);
  const second = ledger.request(SESSION);
  const elsewhere = ledger.request(OTHER);
  const reply = ledger.response(second);
  const third = ledger.request(SESSION);
  const over = ledger.response(elsewhere);
  const seal = ledger.append(OTHER, 'session.closed', { reason: 'requested' });
  const started = ledger.append(SYSTEM, 'log.started');
  const name = { tenant: 'default', name: 'my chat' };
  ledger.sessions.push({ ...name, streams: [{ stream: SESSION, first: { id: first.row.event_id, payload: first.payload } }] });
  return { ledger, first, answer, second, reply, third, elsewhere, over, seal, started };
}
