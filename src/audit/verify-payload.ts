/** The erasable part of an event against the digests in its record, and what explains that some of it is gone. */
import type { JsonValue } from '../kernel/json.js';
import { readOrder } from '../ledger/erasure.js';
import { disclosureDigest, recordHash } from '../ledger/record.js';
import { type Envelope, isCanonicalOf } from './verify-record.js';
import { type Report, show } from './verify-report.js';
import type { Place } from './verify-verdict.js';

/** A row of `payload`. Nothing of `bytes` may reach a finding: what is erased later would live on in it. */
export interface PayloadFact {
  readonly name: string;
  readonly bytes: Buffer;
  readonly keyId: string | null;
  /** Why `bytes` are not the disclosure. */
  readonly sealed?: 'no such key' | 'key destroyed' | 'master key not held' | 'damaged';
}

export interface Erasure {
  readonly event_id: string;
  readonly stream: string;
  readonly record: Buffer;
  readonly hash: Buffer;
  readonly idx: number | null;
  /** In the words of whoever erased; null: erased too. */
  readonly basis: string | null;
}

interface Missing {
  readonly at: Place;
  /** Of which no row was read. */
  readonly digests: Set<string>;
  /** So many of them have a row all the same, which cannot be opened here; nobody knows which. */
  readonly unread: number;
  /** It was looked what explains it, and nothing was found. */
  sought?: true;
}

export interface PayloadState {
  readonly erased: number;
  readonly missing: readonly { readonly id: string; readonly at: Place; readonly digests: readonly string[]; readonly unread: number }[];
  readonly victims: readonly (readonly [string, Place])[];
}

/** Victims of damage whose digest is remembered, so that a row which lost its event can be told by its event. */
const REMEMBERED = 1000;
/** So many events with missing payload wait before somebody looks what explains it, and so many of which nothing was found. */
const AT_ONCE = 2000;
const MOST_SOUGHT = 20_000;

export class PayloadCheck {
  private readonly missing = new Map<string, Missing>();
  /** The events of each stream that miss something. */
  private readonly streams = new Map<string, Set<string>>();
  private readonly victims = new Map<string, Place>();
  private erased = 0;
  /** So many of `missing`. */
  private sought = 0;

  constructor(private readonly report: Report) {}

  event(envelope: Envelope, rows: readonly PayloadFact[], at: Place): void {
    const wanted = new Set(envelope._sd);
    let unread = 0;
    for (const row of rows) {
      if (row.sealed === 'key destroyed') continue; // like a row that is gone: an erasure must explain it
      if (row.sealed === 'master key not held') {
        this.report.notChecked('payload sealed under a master key that is not held here');
        unread += 1;
        continue;
      }
      this.report.count('payload digests');
      if (row.sealed) {
        const why = row.sealed === 'damaged' ? 'which does not open it: it was changed or damaged' : 'which does not exist';
        this.report.invalid('payload digests', at, `payload ${show(row.name)} names key ${show(row.keyId)}, ${why}`);
        continue;
      }
      const digest = disclosureDigest(row.bytes);
      if (!wanted.delete(digest)) {
        this.report.invalid('payload digests', at, `payload ${show(row.name)} has the digest ${digest}, which is not in the record`);
      }
      const flaw = flawOf(row);
      if (flaw !== null) this.report.invalid('payload digests', at, `payload ${show(row.name)} ${flaw}`);
    }
    if (wanted.size <= unread) return;
    this.miss(envelope.id, { at: { ...at, stream: envelope.stream }, digests: wanted, unread });
    if (this.victims.size < REMEMBERED) for (const digest of wanted) this.victims.set(digest, at);
  }

  /** What was erased and can be read all the same: never deleted, or brought back by a restore. */
  mustBeGone(rows: readonly PayloadFact[], at: Place): void {
    if (rows.some((row) => !row.sealed))
      this.report.invalid('payload digests', at, 'the payload was erased with its stream, as a payload.erased says, and it is here');
  }

  private miss(id: string, missing: Missing): void {
    this.missing.set(id, missing);
    const stream = missing.at.stream ?? '';
    const own = this.streams.get(stream);
    if (own) own.add(id);
    else this.streams.set(stream, new Set([id]));
  }

  /** A row whose event does not exist. */
  orphan(event: string, { name, bytes }: PayloadFact): void {
    const victim = this.victims.get(disclosureDigest(bytes));
    const origin = victim ? `; it belongs to event ${victim.event_id}` : '';
    this.report.count('payload digests');
    this.report.invalid(
      'payload digests',
      victim ?? { event_id: null, stream: null, seq: null },
      `payload ${show(name)} names event row ${event}, which does not exist${origin}`,
    );
  }

  /** Much is missing of which it was not looked yet what explains it. */
  get pressing(): boolean {
    return this.missing.size >= this.sought + AT_ONCE;
  }

  /** Of more than is worth remembering it was looked in vain. */
  get hopeless(): boolean {
    return this.sought >= MOST_SOUGHT;
  }

  /** Ids of the events of which it is looked from here on what explains them. */
  seek(): string[] {
    const fresh = [...this.missing].filter(([, missing]) => !missing.sought);
    for (const [, missing] of fresh) missing.sought = true;
    this.sought = this.missing.size;
    return fresh.map(([id]) => id);
  }

  /** Tenants whose erasures might explain what is missing. */
  tenants(): string[] {
    return [...new Set([...this.missing.values()].map(({ at }) => tenantOf(at.stream ?? '')))];
  }

  /** A payload.erased event; `idx` null while it waits for its place. Explains only what was there before it, of its own tenant. */
  erasure({ event_id, stream, record, hash, idx, basis }: Erasure): void {
    const order = recordHash(record).equals(hash) ? readOrder(record) : null;
    if (!order || !isSystem(stream)) return;
    const before = this.erased;
    const explain = (id: string, digest?: string) => {
      const missing = this.missing.get(id);
      if (!missing || tenantOf(missing.at.stream ?? '') !== tenantOf(stream)) return;
      if (idx !== null && missing.at.idx !== undefined && missing.at.idx >= idx) return;
      if (digest === undefined) missing.digests.clear();
      else if (!missing.digests.delete(digest)) return;
      if (missing.digests.size > missing.unread) return;
      this.drop(id, missing);
      this.erased += 1;
    };
    for (const stream of order.streams) for (const id of this.streams.get(stream) ?? []) explain(id);
    for (const id of order.events) explain(id);
    for (const { event, digest } of order.disclosures) explain(event, digest);
    if (this.erased > before) this.report.erased({ erasure: event_id, basis, events: this.erased - before });
  }

  private drop(id: string, { at, sought }: Missing): void {
    this.missing.delete(id);
    if (sought) this.sought -= 1;
    const own = this.streams.get(at.stream ?? '');
    own?.delete(id);
    if (own?.size === 0) this.streams.delete(at.stream ?? '');
  }

  state(): PayloadState {
    const missing = [...this.missing].map(([id, { at, digests, unread }]) => ({ id, at, digests: [...digests], unread }));
    return { erased: this.erased, missing, victims: [...this.victims] };
  }

  /** Of streams that were walked elsewhere. */
  absorb({ erased, missing, victims }: PayloadState): void {
    this.erased += erased;
    for (const { id, at, digests, unread } of missing) this.miss(id, { at, digests: new Set(digests), unread });
    for (const [digest, at] of victims) if (this.victims.size < REMEMBERED) this.victims.set(digest, at);
  }

  /** Nothing explains it. */
  giveUp(): void {
    for (const { at, digests, unread } of this.missing.values()) {
      const gone = digests.size - unread;
      const rows = gone === 1 ? '1 digest of the record has' : `${gone} digests of the record have`;
      this.report.incomplete('payload digests', at, `${rows} no row in payload, and no payload.erased names the event`);
    }
    this.missing.clear();
    this.streams.clear();
    this.sought = 0;
  }

  end(): void {
    this.giveUp();
    if (this.erased > 0) this.report.note('payload digests', `${this.erased} events erased and explained`);
  }
}

const isSystem = (stream: string): boolean => stream === `${tenantOf(stream)}/system`;

export const tenantOf = (stream: string): string => stream.slice(0, Math.max(0, stream.indexOf('/')));

const SALT = /^[A-Za-z0-9_-]{22,}$/;

/** What is wrong with the bytes of a disclosure, without quoting them. */
function flawOf({ name, bytes }: PayloadFact): string | null {
  const text = bytes.toString('utf8');
  const value = parseDisclosure(text);
  if (value === null) return 'is not [salt, name, value]';
  if (!isCanonicalOf(value, bytes, text)) return 'is not in canonical form';
  if (!SALT.test(value[0])) return 'has no salt of 128 bits';
  return value[1] === name ? null : 'bears another name inside';
}

export const readDisclosure = (bytes: Buffer) => parseDisclosure(bytes.toString('utf8'));

function parseDisclosure(text: string): [string, string, JsonValue] | null {
  try {
    const value = JSON.parse(text) as JsonValue;
    if (!Array.isArray(value) || value.length !== 3) return null;
    return typeof value[0] === 'string' && typeof value[1] === 'string' ? (value as [string, string, JsonValue]) : null;
  } catch {
    return null;
  }
}
